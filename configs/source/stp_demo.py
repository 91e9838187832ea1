# Stage 1 of the demo: the pre-trained small tower on a labeled synthetic world in BUPTCampus layout.
_base_ = [
    '../_base_/datasets/synthetic_bupt.py',
    '../_base_/models/stp_tiny.py',
    '../_base_/default_runtime.py',
]

train_dataloader = dict(sampler=dict(num_identities=8, num_tracklets=2, iterations=100))
# added to the published losses for faster learning: the demo has 400 iterations instead of 4,800
model = dict(contrast_weight=1.0)

optim_wrapper = dict(
    type='OptimWrapper',
    # a third of the pre-training rate: 1e-3 lost one point of mAP on unseen people of the tuning world (--seed 0)
    optimizer=dict(type='AdamW', lr=3e-4, weight_decay=0.01),
    paramwise_cfg=dict(custom_keys={'_head': dict(lr_mult=30.0)}),
    clip_grad=dict(max_norm=5.0),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, begin=0, end=30, by_epoch=False),
    dict(type='CosineAnnealingLR', begin=30, eta_min_ratio=0.01, by_epoch=False),
]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=4, val_interval=4)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
