# B+Clu with ResNet-50 instead of the ViT or the demo's tower.
_base_ = ['../baselines/bclu.py', '../_base_/models/resnet50.py']

# Starts from the source model. To start from ImageNet weights instead: --cfg-options source=None
source = dict(config=_base_.source.config.replace('stp_', 'resnet50_'))
model = dict(backbone=dict(_base_.resnet50, _delete_=True))
# per tracklet, to keep ResNet-50 feasible on a CPU in the demo
num_frames = dict(demo=2, demo_few=2).get(_base_.direction, _base_.num_frames)
