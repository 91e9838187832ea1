# GUR with ResNet-50 in place of the ViT.
_base_ = ['../gur_bupt2hitsz.py', '../../_base_/models/resnet50.py']

# from the source model; from ImageNet's weights instead: --cfg-options source=None
source = dict(config='../../source/resnet50_bupt.py', checkpoint=None)
model = dict(backbone=dict(_delete_=True, **_base_.resnet50))
