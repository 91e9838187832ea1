# HITSZ-VCM: the test set, its official protocol and VLD's frame sampling.
data_root = '{{$DSCREID_HITSZ_VCM:data/hitsz_vcm}}'
num_frames = 6  # T, the paper's
frame_size = (288, 144)  # height, width; the paper's

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

test_dataloader = dict(
    batch_size=32,
    num_workers=8,
    persistent_workers=True,
    pin_memory=True,
    sampler=dict(type='SequentialSampler'),
    dataset=dict(type='HITSZVCM', split='test', pipeline=eval_pipeline),
)
val_dataloader = test_dataloader
test_evaluator = dict(type='ReIDMetric', protocol='hitsz_vcm')
val_evaluator = test_evaluator
