# B+Clu with ResNet-50 instead of the ViT.
_base_ = ['../bclu_bupt2hitsz.py', '../../_base_/models/resnet50.py']

# Starts from the source model. To start from ImageNet weights instead: --cfg-options source=None
source = dict(config='../../source/resnet50_bupt.py', checkpoint=None)
model = dict(backbone=dict(_delete_=True, **_base_.resnet50))
