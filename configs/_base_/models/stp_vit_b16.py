# CLIP ViT-B/16 with spatio-temporal prompts, as VLD trains it on the labeled source.
_base_ = './preprocessor.py'

model = dict(
    type='SourceReID',
    # None: counted from the training data
    num_classes=None,
    # 'neck': halves after their necks, each with unit norm, as in adaptation. 'raw': plain concatenation of the raw
    # halves, as in VLD.
    retrieval='neck',
    flip_test=False,
    data_preprocessor=_base_._preprocessor,
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
