# CLIP ViT-B/16 with spatio-temporal prompts, as VLD trains it on the labeled source.
model = dict(
    type='SourceReID',
    # None: counted from the training data
    num_classes=None,
    # 'neck': halves after their necks, each with unit norm, as in adaptation. 'raw': plain concatenation of the raw
    # halves, as in VLD.
    retrieval='neck',
    flip_test=False,
    data_preprocessor=dict(
        type='TrackletDataPreprocessor',
        # ImageNet statistics as in VLD. CLIP's own: mean=(0.48145466, 0.4578275, 0.40821073),
        # std=(0.26862954, 0.26130258, 0.27577711).
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
        augmentation=dict(
            # padding by 10, crop and flip as in the paper; flip probability and erasing as in VLD and ADCA
            flip=0.5,
            pad=10,
            erase=dict(probability=0.5),
            # as in VLD: each visible tracklet is either plain or channel-exchanged
            visible_views=('plain_or_exchange',),
            infrared_views=('channel_grey',),
            per_frame=False,
        ),
    ),
    backbone=dict(
        type='SpatioTemporalPrompting',
        start_layer=9,  # VLD's default
        num_heads=12,  # as in the tower's blocks
        with_cp='auto',
        tower=dict(
            type='CLIPVisionTransformer',
            patch_size=16,
            width=768,
            layers=12,
            heads=12,
            activation='quick_gelu',  # required by OpenAI's weights
            pretrained='{{$DSCREID_CLIP_VIT_B16:weights/ViT-B-16.pt}}',
        ),
    ),
)
