# Two-stream ResNet-50 on the labelled source: the model of stp_vit_b16.py with another encoder.
_base_ = ['./stp_vit_b16.py', './resnet50.py']

model = dict(
    backbone=dict(_delete_=True, **_base_.resnet50),
    # both halves are the same feature: one classifier
    dynamic_weight=0.0,
)
