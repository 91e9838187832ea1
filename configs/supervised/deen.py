# DEEN (Zhang and Wang, CVPR 2023): features of several stages, and diverse embeddings as versions of each tracklet.
_base_ = '../_base_/methods/supervised.py'

model = dict(
    data_preprocessor=dict(
        augmentation=dict(
            erase=dict(probability=0.5),
            visible_views=('plain_or_luminance',),
            infrared_views=('plain_or_luminance',),
        )
    ),
    backbone=dict(type='DiverseEmbeddingResNet', branches=2),
    losses=dict(
        centers=dict(type='CenterTripletLoss', part='static', margin=0.2, weight=0.8),
        orthogonality=dict(type='VersionOrthogonalityLoss', part='static', weight=0.01),
    ),
)
if not _base_._demo:
    frame_size = (384, 144)
    train_dataloader = dict(sampler=dict(num_identities=6))
    # As published. The release has a further decay, which its conditions never reach.
    param_scheduler = [_base_.param_scheduler[0], dict(_base_.param_scheduler[1], milestones=[20, 80])]
    train_cfg = dict(max_epochs=151, val_interval=15)
