# ResNet-50 for rendered people. It starts from random weights and needs no weights file. To start from torchvision's
# weights, train the source stage with --cfg-options model.backbone.pretrained=weights/resnet50-0676ba61.pth
_base_ = './resnet50.py'

resnet50 = dict(pretrained=None)
