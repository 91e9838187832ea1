# GUR on ResNet-50 in place of the demo's tower.
_base_ = [
    '../demo_gur.py',
    '../../_base_/models/resnet50_from_scratch.py',
]

source = dict(config='demo_source_resnet50.py')
model = dict(backbone=dict(_delete_=True, **_base_.resnet50))

num_frames = 2  # of each tracklet: what a processor bears of a ResNet-50
