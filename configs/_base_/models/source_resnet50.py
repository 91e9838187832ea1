# Two-stream ResNet-50 on the labeled source: the model of stp_vit_b16.py with a different encoder.
_base_ = ['./stp_vit_b16.py', './resnet50.py']

model = dict(
    backbone=dict(_delete_=True, **_base_.resnet50),
    # both halves are the same feature, so one classifier is enough
    dynamic_weight=0.0,
)
