# ADCA (Yang et al., ACM MM 2022), second stage: votes match clusters across modalities, and the centers of matched
# clusters are aggregated.
_base_ = './bclu.py'

# Stage 1 is B+Clu. Its last checkpoint is used; the released code uses the one that is best on the test set.
source = dict(config='bclu.py', checkpoint=None)

model = dict(
    memories=dict(
        # As in the released code: a visible center becomes 0.1 visible + 0.9 infrared center and is not normalized
        # again; the infrared center does not change. The readme describes aggregating both (both_ways=True).
        aggregation=dict(momentum=0.1, both_ways=False, normalize=False),
    ),
)
default_hooks = dict(
    cluster=dict(
        labelers=[
            dict(
                type='AggregationLabeler',
                clustering=dict(type='ClusterLabeler'),
                # from the released code; the log warns if so many pairs reach it that it has no meaning here
                threshold=0.5,
            )
        ],
    ),
)
