# What encoders with weights of CLIP or ImageNet read.
_preprocessor = dict(
    type='TrackletDataPreprocessor',
    # ImageNet statistics as in VLD. CLIP's own: mean=(0.48145466, 0.4578275, 0.40821073),
    # std=(0.26862954, 0.26130258, 0.27577711).
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
    augmentation=dict(
        # padding by 10, crop and flip as in the paper; flip probability and erasing as in VLD, ADCA and its successors
        flip=0.5,
        pad=10,
        erase=dict(probability=0.5),
        # as in VLD: each visible tracklet is either plain or channel-exchanged
        visible_views=('plain_or_exchange',),
        infrared_views=('channel_grey',),
        per_frame=False,
    ),
)
# ADCA: each visible tracklet is used twice, once per view
_two_views = dict(_preprocessor['augmentation'], visible_views=('plain', 'channel_exchange'))
