# NG with ResNet-50 in place of the ViT.
_base_ = ['../ng_bupt2hitsz.py', '../../_base_/models/resnet50.py']

# stage 1, which starts from the source model. From ImageNet's weights instead: train that config with
# --cfg-options source=None and name its last checkpoint here
source = dict(config='bclu_resnet50_bupt2hitsz.py', checkpoint=None)
model = dict(backbone=dict(_delete_=True, **_base_.resnet50))
