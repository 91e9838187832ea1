# Stage 2: DSC on the architecture of the source model.
_base_ = './stp_vit_b16.py'

# for the baseline CD, which evaluates the source model
_source_model = _base_.model
model = dict(
    _delete_=True,
    type='AdaptiveReID',
    retrieval='neck',
    flip_test=False,
    data_preprocessor=dict(_base_._preprocessor, augmentation=_base_._two_views),
    backbone=_base_.model.backbone,
    # equations (3) and (4); temperature as in every method of the family
    identity_loss=dict(type='ClusterContrastiveLoss', temperature=0.05),
    # Equations (15)-(24). Weights are 1 and 0.5 before labels are unified, 0.1 and 0.1 afterwards (released SDCL code).
    neighbor_losses=[
        dict(type='NeighborContrastiveLoss', pairs=('vv', 'tt'), alpha=0.9, weight=1.0, unified_weight=0.1),
        dict(
            type='NeighborContrastiveLoss',
            pairs=('vt', 'tv'),
            alpha=0.9,
            weight=0.5,
            unified_weight=0.1,
            begin=10,  # released SDCL code
        ),
    ],
    # equation (2): beta is 0.1 for cluster memories and 0.9 for instance memories (released SDCL code)
    memories=dict(cluster=dict(momentum=0.1), instance=dict(momentum=0.9)),
)
