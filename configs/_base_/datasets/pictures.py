# Image data sets: pictures as tracklets of one frame, in the size that published work reads.
num_frames = 1
frame_size = (288, 144)  # (height, width)

train_pipeline = [
    dict(type='SampleFrames', rule='segment_first'),
    dict(type='LoadFrames'),
    dict(type='PackTracklet'),
]
eval_pipeline = train_pipeline

test_dataloader = dict(
    batch_size=256,
    num_workers=8,
    persistent_workers=True,
    pin_memory=True,
    sampler=dict(type='SequentialSampler'),
    dataset=dict(split='test'),
)
val_dataloader = test_dataloader
