# NG with ResNet-50 instead of the ViT.
_base_ = ['../ng_hitsz2bupt.py', '../../_base_/models/resnet50.py']

# Stage 1, which starts from the source model. To start from ImageNet weights instead, train that config with
# --cfg-options source=None and name its last checkpoint here.
source = dict(config='bclu_resnet50_hitsz2bupt.py', checkpoint=None)
model = dict(backbone=dict(_delete_=True, **_base_.resnet50))
