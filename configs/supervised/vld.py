# VLD (stage 1 of the paper), trained on the labels of the target. Its losses on other layers and on texts are not part
# of this code base (docs/differences.md).
_base_ = ['../_base_/targets/{{$DSCREID_DIRECTION:bupt2hitsz}}.py', '../_base_/default_runtime.py']

_demo = _base_.direction.startswith('demo')
model = dict(
    dynamic_identity_weight=0.4,
    retrieval='neck' if _demo else 'raw',
    # as in stp_demo.py
    contrast_weight=1.0 if _demo else 0.0,
)
_adamw = dict(type='AdamW', lr=3e-4 if _demo else 2.5e-5, weight_decay=0.01 if _demo else 1e-4)
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=_adamw,
    paramwise_cfg=dict(custom_keys={'_head': dict(lr_mult=25.0)}),
    clip_grad=dict(max_norm=5.0) if _demo else None,
)
_warmup = dict(type='LinearLR', start_factor=0.01, begin=0, by_epoch=True, convert_to_iter_based=True)
param_scheduler = [
    dict(_warmup, end=1 if _demo else 3),
    dict(
        type='CosineAnnealingLR', begin=1 if _demo else 3, eta_min_ratio=0.01, by_epoch=True, convert_to_iter_based=True
    ),
]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=4 if _demo else 24, val_interval=4 if _demo else 8)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
