# Stage 1 of the demo on ResNet-50.
_base_ = [
    '../demo_source.py',
    '../../_base_/models/resnet50_from_scratch.py',
]

# both halves are the same feature: one classifier
model = dict(backbone=dict(_delete_=True, **_base_.resnet50), dynamic_weight=0.0)

num_frames = 2  # of each tracklet: what a processor bears of a ResNet-50
