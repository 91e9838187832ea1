# TF-CLIP (Yu et al., AAAI 2024): as CLIP-ReID, with the mean clip features of each person instead of texts, and a
# temporal branch. Values are those of the released configs/vit_clipreid.yml.
_base_ = './clip_reid.py'

num_frames = 2 if _base_._demo else 8
_entropy = dict(type='IdentityLoss', label_smoothing=0.1)
model = dict(
    # SIE_CAMERA, on in the release, is off here: backbone=dict(cameras=...)
    backbone=dict(type='TemporalMemoryCLIP', num_heads=4 if _base_._demo else 12),
    heads=dict(
        temporal=dict(type='ClipFrameHead', part='neck_temporal', frames='frames'),
        memory=dict(
            _delete_=True,
            type='PromptedMemoryHead',
            part='projected',
            tokens='tokens',
            prompt=dict(layers=2, alpha=0.1, dropout=0.1),
        ),
    ),
    losses=dict(
        triplet_before_last=None,
        triplet_temporal=dict(type='BatchHardTripletLoss', part='temporal', margin=0.3),
        # the clip, then its frames, whose mean is divided by their number once more, as in the release
        id_temporal=dict(_entropy, part='temporal_head', groups=(0, 1), weight=0.25),
        id_frame=dict(_entropy, part='temporal_head', groups=(1, None), weight=1 / num_frames),
    ),
)
if _base_._demo:
    optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'memory_head': dict(lr_mult=1.0)}))
else:
    # 16 clips = 4 people x 4, two of each modality
    train_dataloader = dict(sampler=dict(num_identities=4))
    # The release also means to raise the rate of its prompt and temporal branch, but these names match no parameter.
    optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'temporal_head.classifier': dict(lr_mult=10.0)}))
    param_scheduler = [_base_.param_scheduler[0], dict(_base_.param_scheduler[1], milestones=[30, 50, 70])]
    train_cfg = dict(max_epochs=80, val_interval=10)
