# BUPTCampus: test set, official protocol and the frame sampling of the dataset's authors.
data_root = '{{$DSCREID_BUPT_CAMPUS:data/bupt_campus}}'
num_frames = 6  # T in the paper
frame_size = (288, 144)  # (height, width), as in the paper

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

test_dataloader = dict(
    batch_size=32,
    num_workers=8,
    persistent_workers=True,
    pin_memory=True,
    sampler=dict(type='SequentialSampler'),
    dataset=dict(type='BUPTCampus', split='test'),
)
val_dataloader = test_dataloader
test_evaluator = dict(type='ReIDMetric', protocol='bupt_campus')
val_evaluator = test_evaluator
