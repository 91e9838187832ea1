# RECONSTRUCTION of NG in its other reading on the demo's target, after B+Clu; numbers without a comment as in
# configs/baselines/ng_transport_bupt2hitsz.py.
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
                topk=12,  # one identity's tracklets of a modality
                max_cluster_ratio=2.0,
                balance=0.5,
            )
        ],
    ),
)
