# GUR with camera phases on the demo's target. Numbers without a comment are those of
# configs/baselines/gur_cameras_bupt2hitsz.py.
_base_ = './demo_bclu.py'

# The 400 iterations of DSC in 8 phases of 50: one round of the four published phases, then rounds with unified labels
# and finally rounds with smoothed labels, with one camera phase each. The rate decays as in demo_gur.py.
train_dataloader = dict(sampler=dict(iterations=50))
train_cfg = dict(max_epochs=8, val_interval=4)
param_scheduler = [dict(type='MultiStepLR', by_epoch=True, begin=0, milestones=[4, 7], gamma=0.1)]

# each identity and modality has two tracklets in each of six cameras
camera = dict(type='CameraLabeler')
within = dict(type='ProxyAffinityLabeler', scale=20.0)
across = dict(type='JointLabeler', scale=20.0)
votes = dict(temperature=1.0, outliers_vote=True, infrared_centers=True)
# for 12 tracklets per identity and modality (SYSU-MM01: 20 for 30 or more images)
unified = dict(type='UnificationLabeler', clustering=within, topk=10, smoothing_topk=None, **votes)
smoothed = dict(type='UnificationLabeler', clustering=within, topk=10, smoothing_topk=10, **votes)

default_hooks = dict(
    cluster=dict(
        labelers=[
            dict(begin_epoch=0, cycle=[camera, camera, within, across]),
            dict(begin_epoch=4, cycle=[camera, unified]),
            dict(begin_epoch=6, cycle=[camera, smoothed]),
        ],
    ),
)
