# NG's second stage on the demo's target, after B+Clu; numbers without a comment as in
# configs/baselines/ng_bupt2hitsz.py.
_base_ = './demo_bclu.py'

source = dict(config='demo_bclu.py', checkpoint=None)

model = dict(
    cross_loss=dict(type='CrossClusterLoss', weight=3.0, alternate=True),
    memories=dict(cluster=dict(momentum=0.2)),
)
default_hooks = dict(
    cluster=dict(
        labelers=[
            dict(
                type='NeighborSoftLabeler',
                clustering=dict(type='ClusterLabeler'),
                # one identity's tracklets of a modality (SYSU-MM01: 30 of 30 to 56 images, RegDB: 20 of 10)
                topk=12,
                max_cluster_ratio=2.0,
                balance=0.7,
                sharpness=10.0,
            )
        ],
    ),
)
