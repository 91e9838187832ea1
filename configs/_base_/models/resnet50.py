# Encoder of the unsupervised visible-infrared methods: ResNet-50 with one stem per modality, averaged over the frames
# before the neck. To use it instead of another encoder: backbone=dict(_base_.resnet50, _delete_=True).
resnet50 = dict(
    type='TwoStreamResNet50',
    gem_power=3.0,
    # torchvision's IMAGENET1K_V1, or random weights in the demo; not read if the weights come from a source checkpoint
    pretrained=None
    if '{{$DSCREID_DIRECTION:bupt2hitsz}}'.startswith('demo')
    else '{{$DSCREID_RESNET50:weights/resnet50-0676ba61.pth}}',
)
