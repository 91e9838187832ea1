# Stage 1: two-stream ResNet-50, starting from ImageNet weights, on the labeled bupt_campus.
_base_ = [
    '../_base_/datasets/bupt_campus_source.py',
    '../_base_/models/source_resnet50.py',
    '../_base_/schedules/source_resnet50_24e.py',
    '../_base_/default_runtime.py',
]
