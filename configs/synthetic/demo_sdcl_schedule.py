# DSC with SDCL's schedule on the demo's target. Numbers without a comment are those of
# configs/dsc/sdcl_schedule_bupt2hitsz.py.
_base_ = './demo_dsc.py'

model = dict(
    neighbor_losses=[
        dict(
            type='NeighborContrastiveLoss',
            pairs=('vv', 'tt'),
            alpha=0.9,
            weight=1.0,
            unified_weight=0.1,
            static_weight=0.5,
            dynamic_weight=1.0,
        ),
        dict(
            type='NeighborContrastiveLoss',
            pairs=('vt', 'tv'),
            alpha=0.9,
            weight=0.5,
            unified_weight=0.1,
            begin=1,  # published: epoch 10 of 50
            static_weight=0.5,
            dynamic_weight=1.0,
            alternate=True,
            pair_weights=(0.1, 1.0),
        ),
    ],
)
# Fixed values, because visible tracklets use half of k1 below. These are what by_density.py finds on the tuning world
# (--seed 0).
clustering = dict(k1=12, k2=3, eps=0.55, min_samples=3)
default_hooks = dict(
    cluster=dict(
        labelers=[
            dict(type='ClusterLabeler', begin_epoch=0),
            dict(
                type='DSLULabeler',
                begin_epoch=2,  # published: epoch 30 of 50
                # half the neighbors
                clustering=dict(type='ClusterLabeler', visible=dict(k1=6)),
                # for 12 tracklets per identity and modality (RegDB: 10 for 10 images)
                inter=dict(topk=10, outliers_vote=True),
                intra=dict(topk=5, static_weight=1.0, dynamic_weight=1.0, outliers_vote=True),
                require_own_cluster=True,
            ),
        ],
    ),
)
