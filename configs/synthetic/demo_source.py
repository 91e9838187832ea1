# Stage 1 of the demo: the pre-trained small tower on a labelled synthetic world in BUPTCampus' layout.
_base_ = [
    '../_base_/datasets/synthetic_bupt.py',
    '../_base_/models/stp_tiny.py',
    '../_base_/default_runtime.py',
]

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=5e-4, weight_decay=0.01),
    clip_grad=dict(max_norm=5.0),
)
param_scheduler = [
    dict(
        type='CosineAnnealingLR',
        begin=0,
        end=3,
        eta_min_ratio=0.01,
        by_epoch=True,
        convert_to_iter_based=True,
    )
]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=3, val_interval=3)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
