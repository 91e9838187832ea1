# Two frames of each tracklet in place of six, which is what a processor bears of a ResNet-50: the pipelines of
# synthetic_bupt.py and synthetic_hitsz.py under names of their own, for configs that inherit from both.
two_frames = dict(
    bupt_train=[
        dict(type='SampleFrames', num_frames=2, rule='sorted_random'),
        dict(type='LoadFrames', size=(64, 32)),
        dict(type='PackTracklet'),
    ],
    bupt_eval=[
        dict(type='SampleFrames', num_frames=2, rule='linspace'),
        dict(type='LoadFrames', size=(64, 32)),
        dict(type='PackTracklet'),
    ],
    hitsz_train=[
        dict(type='SampleFrames', num_frames=2, rule='segment_random'),
        dict(type='LoadFrames', size=(64, 32)),
        dict(type='PackTracklet'),
    ],
    hitsz_eval=[
        dict(type='SampleFrames', num_frames=2, rule='segment_first'),
        dict(type='LoadFrames', size=(64, 32)),
        dict(type='PackTracklet'),
    ],
)
