# ADCA (Yang et al., ACM MM 2022), second stage: clusters voted alike have their centres aggregated.
_base_ = './bclu_bupt2hitsz.py'

# stage 1 is B+Clu; its last checkpoint, where the released code takes the best on the test set
source = dict(config='bclu_bupt2hitsz.py', checkpoint=None)

model = dict(
    memories=dict(
        # 0.1 visible + 0.9 infrared centre, the infrared one as it was, not normalised again: the released code;
        # its readme speaks of aggregating both (both_ways=True)
        aggregation=dict(momentum=0.1, both_ways=False, normalize=False),
    ),
)
default_hooks = dict(
    cluster=dict(
        labelers=[
            dict(
                type='AggregationLabeler',
                clustering=dict(type='ClusterLabeler'),
                # the released code's; the log says when so many pairs reach it that it means nothing here
                threshold=0.5,
            )
        ],
    ),
)
