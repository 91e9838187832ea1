# Second stage of NG on the demo's target, after B+Clu. Numbers without a comment are those of
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
                # the tracklets of one identity and modality (SYSU-MM01: 30 for 30 to 56 images, RegDB: 20 for 10)
                topk=12,
                max_cluster_ratio=2.0,
                balance=0.7,
                sharpness=10.0,
            )
        ],
    ),
)
