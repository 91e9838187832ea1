# Tracklets from cameras of your own (TrackletFolder). Persons are optional; without them, nothing is evaluated.
data_root = '{{$DSCREID_TRACKLETS:data/mine}}'
num_frames = 6
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
    dataset=dict(type='TrackletFolder', split='test'),
)
val_dataloader = test_dataloader
# other protocols: other_cameras, all_to_all
test_evaluator = dict(type='ReIDMetric', protocol='cross_modal')
val_evaluator = test_evaluator
