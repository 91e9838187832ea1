# Second stage of PGM on the demo's target, after B+Clu, with the numbers of configs/baselines/pgm_bupt2hitsz.py.
_base_ = './demo_bclu.py'

source = dict(config='demo_bclu.py', checkpoint=None)

model = dict(
    cross_loss=dict(type='CrossClusterLoss', weight=0.25, alternate=True),
    memories=dict(cluster=dict(momentum=0.2, hard=True)),
)
default_hooks = dict(
    cluster=dict(
        labelers=[
            dict(
                type='MatchingLabeler',
                clustering=dict(type='ClusterLabeler'),
                passes=None,
            )
        ],
    ),
)
