# Stage 1 of the demo with ResNet-50, from random weights. To start from torchvision's weights, train it with
# --cfg-options model.backbone.pretrained=weights/resnet50-0676ba61.pth
_base_ = ['./stp_demo.py', '../_base_/models/resnet50.py']

# both halves are the same feature, so one classifier is enough
model = dict(backbone=dict(_base_.resnet50, _delete_=True, pretrained=None), dynamic_weight=0.0)
num_frames = 2  # per tracklet, to keep ResNet-50 feasible on a CPU
