# MITML (Lin et al., CVPR 2022): frames gated by a recurrent memory, and an adversary that tells the modalities apart.
_base_ = '../_base_/methods/supervised.py'

model = dict(
    backbone=dict(type='TemporalGateResNet', gem_power=1.0),
    heads=dict(modality=dict(type='ModalityHead', part='static')),
    # published: from epoch 60 of 200
    losses=dict(modality=dict(type='ModalityConfusionLoss', begin=1 if _base_._demo else 60)),
)
if not _base_._demo:
    train_dataloader = dict(sampler=dict(num_tracklets=2))
    param_scheduler = [_base_.param_scheduler[0], dict(_base_.param_scheduler[1], milestones=[35, 80])]
    train_cfg = dict(max_epochs=200, val_interval=20)
