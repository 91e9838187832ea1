# ResNet-50 for rendered people: random weights, so that no file is asked for. torchvision's instead:
# --cfg-options model.backbone.pretrained=weights/resnet50-0676ba61.pth for the source stage.
_base_ = './resnet50.py'

resnet50 = dict(pretrained=None)
