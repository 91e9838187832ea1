# PGM's second stage on the demo's target, after B+Clu; numbers as in configs/baselines/pgm_bupt2hitsz.py.
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
