# Stage 1 of the demo on ResNet-50.
_base_ = [
    '../demo_source.py',
    '../../_base_/models/resnet50_from_scratch.py',
    '../../_base_/datasets/synthetic_two_frames.py',
]

# both halves are the same feature: one classifier
model = dict(backbone=dict(_delete_=True, **_base_.resnet50), dynamic_weight=0.0)

train_dataloader = dict(dataset=dict(pipeline=_base_.two_frames.bupt_train))
test_dataloader = dict(dataset=dict(pipeline=_base_.two_frames.bupt_eval))
val_dataloader = test_dataloader
