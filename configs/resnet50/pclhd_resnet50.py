# PCLHD (reconstruction) with ResNet-50 instead of the ViT or the demo's tower.
_base_ = ['../baselines/pclhd.py', '../_base_/models/resnet50.py']

# Stage 1, which starts from the source model. To start from ImageNet weights instead, train that config with
# --cfg-options source=None and name its last checkpoint here.
source = dict(config='bclu_resnet50.py')
model = dict(backbone=dict(_base_.resnet50, _delete_=True))
num_frames = dict(demo=2, demo_few=2).get(_base_.direction, _base_.num_frames)
