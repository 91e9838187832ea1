# The encoder of the unsupervised visible-infrared methods: ResNet-50 with a stem for each modality, the mean over
# frames before the neck. Configs put it in place of another encoder: backbone=dict(_delete_=True, **_base_.resnet50).
resnet50 = dict(
    type='TwoStreamResNet50',
    gem_power=3.0,
    # torchvision's IMAGENET1K_V1; not read where a source checkpoint brings the weights
    pretrained='{{$DSCREID_RESNET50:weights/resnet50-0676ba61.pth}}',
)
