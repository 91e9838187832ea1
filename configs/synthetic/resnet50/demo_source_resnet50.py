# Stage 1 of the demo on ResNet-50.
_base_ = [
    '../demo_source.py',
    '../../_base_/models/resnet50_from_scratch.py',
]

# both halves are the same feature, so one classifier is enough
model = dict(backbone=dict(_delete_=True, **_base_.resnet50), dynamic_weight=0.0)

num_frames = 2  # per tracklet, to keep ResNet-50 feasible on a CPU
