# Second stage of ADCA on the demo's target, after B+Clu; see configs/baselines/adca_bupt2hitsz.py.
_base_ = './demo_bclu.py'

source = dict(config='demo_bclu.py', checkpoint=None)

model = dict(memories=dict(aggregation=dict(momentum=0.1, both_ways=False, normalize=False)))
default_hooks = dict(
    cluster=dict(
        labelers=[
            dict(
                type='AggregationLabeler',
                clustering=dict(type='ClusterLabeler'),
                threshold=0.5,  # from the released code
            )
        ],
    ),
)
