# B+Clu on ResNet-50 instead of the demo's tower.
_base_ = [
    '../demo_bclu.py',
    '../../_base_/models/resnet50_from_scratch.py',
]

source = dict(config='demo_source_resnet50.py')
model = dict(backbone=dict(_delete_=True, **_base_.resnet50))

num_frames = 2  # per tracklet, to keep ResNet-50 feasible on a CPU
