# Synthetic world in BUPTCampus layout (made by tools/synthesize.py). Frames are 64x32; there are no published counts.
data_root = '{{$DSCREID_SYNTHETIC_BUPT:data/synthetic/demo_bupt}}'
num_frames = 6
frame_size = (64, 32)

train_pipeline = [
    dict(type='SampleFrames', rule='sorted_random'),
    dict(type='LoadFrames'),
    dict(type='PackTracklet'),
]
eval_pipeline = [
    dict(type='SampleFrames', rule='linspace'),
    dict(type='LoadFrames'),
    dict(type='PackTracklet'),
]
train_dataloader = dict(
    # 4 identities x 4 tracklets x 2 modalities
    num_workers=0,
    sampler=dict(type='IdentitySampler', num_identities=4, num_tracklets=4, iterations=100),
    dataset=dict(type='BUPTCampus', split='train', expected_statistics=None, pipeline=train_pipeline),
)
test_dataloader = dict(
    batch_size=64,
    num_workers=0,
    sampler=dict(type='SequentialSampler'),
    dataset=dict(type='BUPTCampus', split='test', expected_statistics=None, pipeline=eval_pipeline),
)
val_dataloader = test_dataloader
test_evaluator = dict(type='ReIDMetric', protocol='bupt_campus')
val_evaluator = test_evaluator
