# GUR with ResNet-50 instead of the ViT.
_base_ = ['../gur_hitsz2bupt.py', '../../_base_/models/resnet50.py']

# Starts from the source model. To start from ImageNet weights instead: --cfg-options source=None
source = dict(config='../../source/resnet50_hitsz.py', checkpoint=None)
model = dict(backbone=dict(_delete_=True, **_base_.resnet50))
