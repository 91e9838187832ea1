# Synthetic world in HITSZ-VCM layout (made by tools/synthesize.py). Frames are 64x32; there are no published counts.
data_root = '{{$DSCREID_SYNTHETIC_HITSZ:data/synthetic/demo_hitsz}}'
num_frames = 6
frame_size = (64, 32)

train_pipeline = [
    dict(type='SampleFrames', rule='segment_random'),
    dict(type='LoadFrames'),
    dict(type='PackTracklet'),
]
eval_pipeline = [
    dict(type='SampleFrames', rule='segment_first'),
    dict(type='LoadFrames'),
    dict(type='PackTracklet'),
]
train_dataloader = dict(
    num_workers=0,
    # 8 infrared tracklets and 4 visible ones in two views, half of the paper's batch. On the tuning world (--seed 0),
    # 100 iterations with this batch reach 55.7 mAP; 50 iterations with twice the batch reach 54.7.
    sampler=dict(type='PseudoLabelSampler', visible=(2, 2), infrared=(4, 2), iterations=100),
    dataset=dict(type='HITSZVCM', split='train', labelled=False, expected_statistics=None, pipeline=train_pipeline),
)
test_dataloader = dict(
    batch_size=64,
    num_workers=0,
    sampler=dict(type='SequentialSampler'),
    dataset=dict(type='HITSZVCM', split='test', expected_statistics=None),
)
val_dataloader = test_dataloader
test_evaluator = dict(type='ReIDMetric', protocol='hitsz_vcm')
val_evaluator = test_evaluator
