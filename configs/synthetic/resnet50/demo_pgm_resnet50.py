# PGM on ResNet-50 in place of the demo's tower.
_base_ = [
    '../demo_pgm.py',
    '../../_base_/models/resnet50_from_scratch.py',
    '../../_base_/datasets/synthetic_two_frames.py',
]

source = dict(config='demo_bclu_resnet50.py')
model = dict(backbone=dict(_delete_=True, **_base_.resnet50))

train_dataloader = dict(dataset=dict(pipeline=_base_.two_frames.hitsz_train))
test_dataloader = dict(dataset=dict(pipeline=_base_.two_frames.hitsz_eval))
val_dataloader = test_dataloader
default_hooks = dict(
    cluster=dict(dataloader=dict(dataset=dict(pipeline=_base_.two_frames.hitsz_eval))),
)
