# HITSZ-VCM: test set, official protocol and VLD's frame sampling.
data_root = '{{$DSCREID_HITSZ_VCM:data/hitsz_vcm}}'
num_frames = 6  # T in the paper
frame_size = (288, 144)  # (height, width), as in the paper

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
    dataset=dict(type='HITSZVCM', split='test'),
)
val_dataloader = test_dataloader
test_evaluator = dict(type='ReIDMetric', protocol='hitsz_vcm')
val_evaluator = test_evaluator
