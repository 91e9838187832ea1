# The model of stp_vit_b16.py with a small tower for the CPU: same classes, smaller sizes.
model = dict(
    type='SourceReID',
    num_classes=None,
    retrieval='neck',
    flip_test=False,
    data_preprocessor=dict(
        type='TrackletDataPreprocessor',
        # as in the pre-training of the tower
        mean=(0.5, 0.5, 0.5),
        std=(0.25, 0.25, 0.25),
        augmentation=dict(
            flip=0.5,
            pad=3,
            erase=dict(probability=0.3),
            visible_views=('plain_or_exchange',),
            infrared_views=('plain',),
        ),
    ),
    backbone=dict(
        type='SpatioTemporalPrompting',
        start_layer=2,
        num_heads=4,
        pretrained_prompts=True,
        tower=dict(
            type='CLIPVisionTransformer',
            patch_size=8,
            width=128,
            layers=4,
            heads=4,
            activation='gelu',
            stem=dict(type='ConvStem', channels=(32, 64)),
            # trained as described in configs/synthetic/pretrain_tower.py and pretrain_tracklets.py
            pretrained='{{$DSCREID_SYNTHETIC_ENCODER:dscreid://synthetic_encoder.safetensors}}',
        ),
    ),
)
