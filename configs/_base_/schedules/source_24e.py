# VLD's released settings: AdamW 2.5e-5, 25 times that for classifiers, 24 epochs. The rate warms up from 1 % in 3
# epochs and then decays to 1 % along a cosine.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=2.5e-5, weight_decay=1e-4),
    paramwise_cfg=dict(custom_keys={'_head': dict(lr_mult=25.0)}),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, begin=0, end=3, by_epoch=True, convert_to_iter_based=True),
    dict(
        type='CosineAnnealingLR',
        begin=3,
        eta_min_ratio=0.01,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=24, val_interval=8)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
