# Stage 1 of the demo: the pre-trained small tower on a labelled synthetic world in BUPTCampus' layout.
_base_ = [
    '../_base_/datasets/synthetic_bupt.py',
    '../_base_/models/stp_tiny.py',
    '../_base_/default_runtime.py',
]

train_dataloader = dict(sampler=dict(num_identities=8, num_tracklets=2, iterations=200))
# a stronger pull than the published losses alone: the demo has 600 iterations, not 4,800
model = dict(contrast_weight=1.0)

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.01),
    paramwise_cfg=dict(custom_keys={'_head': dict(lr_mult=10.0)}),
    clip_grad=dict(max_norm=5.0),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, begin=0, end=30, by_epoch=False),
    dict(type='CosineAnnealingLR', begin=30, end=600, eta_min_ratio=0.01, by_epoch=False),
]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=3, val_interval=3)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
