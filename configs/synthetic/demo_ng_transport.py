# RECONSTRUCTION of NG in its other interpretation on the demo's target, after B+Clu. Numbers without a comment are
# those of configs/baselines/ng_transport_bupt2hitsz.py.
_base_ = './demo_bclu.py'

source = dict(config='demo_bclu.py', checkpoint=None)

model = dict(cross_loss=dict(type='CrossClusterLoss', weight=0.25, alternate=True))
default_hooks = dict(
    cluster=dict(
        labelers=[
            dict(
                type='TransportLabeler',
                clustering=dict(type='ClusterLabeler'),
                marginals='uniform',
                sharpness=25.0,
                topk=12,  # the tracklets of one identity and modality
                max_cluster_ratio=2.0,
                balance=0.5,
            )
        ],
    ),
)
