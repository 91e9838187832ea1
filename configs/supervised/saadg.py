# SAADG (Zhou et al., ACM MM 2023): random styles, frames with the styles of others, graphs between clips of a person.
_base_ = '../_base_/methods/supervised.py'

model = dict(
    data_preprocessor=dict(augmentation=dict(erase=dict(probability=0.5), style=dict(low=0.5, high=1.5))),
    backbone=dict(type='StyleDisturbanceResNet'),
    heads=dict(frame=dict(type='FrameHead', part='frames'), graph=dict(type='InteractionHead', part='frames')),
    losses=dict(
        # the sum of the mean over frames and that over disturbed frames
        id_frame=dict(type='IdentityLoss', part='frame_head', weight=2.0),
        # the means over both graphs, half of the published sums
        id_graph=dict(type='IdentityLoss', part='graph_head', weight=1.0),
        distillation=dict(type='DistillationLoss', part='static_head', teacher='graph_head', weight=1.0),
        disturbance=dict(type='FrameDistanceLoss', part='frames', other_part='disturbed_frames'),
    ),
)
if not _base_._demo:
    train_dataloader = dict(sampler=dict(num_tracklets=2))
    param_scheduler = [_base_.param_scheduler[0], dict(_base_.param_scheduler[1], milestones=[60, 120])]
    train_cfg = dict(max_epochs=201, val_interval=20)
