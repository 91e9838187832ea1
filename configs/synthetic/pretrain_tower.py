# The CLIP of the synthetic benchmark: a small tower trained on single frames of a very varied synthetic world.
# It warms up on a plainer world first, because from random weights it learns nothing from the varied world for a long
# time. The last two stages use worlds whose cameras span both benchmark domains. To run all stages from the root of the
# repository:
#   python tools/synthesize.py --layout bupt --preset pretrain --domain bupt --identities 1200 --seed 8 \
#       --out data/synthetic/pretrain_warmup
#   python tools/synthesize.py --layout bupt --preset pretrain --identities 2000 --seed 7 --out data/synthetic/pretrain
#   python tools/train.py configs/synthetic/pretrain_tower.py
#   python tools/model_converters/export_tower.py work_dirs/pretrain_tower/epoch_16.pth \
#       weights/synthetic_tower_varied.safetensors
#   python tools/synthesize.py --layout bupt --preset pretrain --domain everyday --identities 2000 --seed 9 \
#       --out data/synthetic/pretrain_everyday
#   python tools/synthesize.py --layout bupt --preset pretrain --domain everyday --identities 2000 --seed 10 \
#       --out data/synthetic/pretrain_everyday2
#   python tools/train.py configs/synthetic/pretrain_everyday2.py
#   python tools/model_converters/export_tower.py work_dirs/pretrain_everyday2/epoch_6.pth \
#       weights/synthetic_tower.safetensors
_base_ = ['../_base_/default_runtime.py']

source = dict(config='pretrain_warmup.py', checkpoint=None)
data_root = '{{$DSCREID_SYNTHETIC_PRETRAIN:data/synthetic/pretrain}}'
frame_size = (64, 32)

train_pipeline = [
    dict(type='SampleFrames', num_frames=1, rule='sorted_random'),
    dict(type='LoadFrames'),
    dict(type='PackTracklet'),
]
eval_pipeline = [
    dict(type='SampleFrames', num_frames=2, rule='linspace'),
    dict(type='LoadFrames'),
    dict(type='PackTracklet'),
]
train_dataloader = dict(
    num_workers=0,
    # 12 identities x 4 frames x 2 modalities
    sampler=dict(type='IdentitySampler', num_identities=12, num_tracklets=4, iterations=500),
    dataset=dict(
        type='BUPTCampus',
        split='train',
        expected_statistics=None,
        pipeline=train_pipeline,
    ),
)
test_dataloader = dict(
    batch_size=64,
    num_workers=0,
    sampler=dict(type='SequentialSampler'),
    dataset=dict(type='BUPTCampus', split='test', expected_statistics=None),
)
val_dataloader = test_dataloader
test_evaluator = dict(type='ReIDMetric', protocol='bupt_campus')
val_evaluator = test_evaluator

model = dict(
    type='SourceReID',
    num_classes=None,
    # FrameAverage returns two equal halves
    dynamic_weight=0.0,
    # the published triplet loss collapses a tower that starts from random weights
    triplet_weight=0.0,
    contrast_weight=1.0,
    retrieval='neck',
    data_preprocessor=dict(
        type='TrackletDataPreprocessor',
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
        type='FrameAverage',
        tower=dict(
            type='CLIPVisionTransformer',
            patch_size=8,
            width=128,
            layers=4,
            heads=4,
            activation='gelu',
            stem=dict(type='ConvStem', channels=(32, 64)),
        ),
    ),
)

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.02),
    clip_grad=dict(max_norm=5.0),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, begin=0, end=1, by_epoch=True, convert_to_iter_based=True),
    dict(
        type='CosineAnnealingLR',
        begin=1,
        eta_min_ratio=0.01,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=16, val_interval=2)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
default_hooks = dict(logger=dict(interval=50))
