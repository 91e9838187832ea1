# GUR with camera phases on the demo's target; numbers without a comment as in
# configs/baselines/gur_cameras_bupt2hitsz.py.
_base_ = './demo_bclu.py'

# DSC's 400 iterations in 8 phases of 50: one round of the published four phases, then rounds with unified labels and at
# last with smoothed ones, which have one camera phase each. Decays as in demo_gur.py.
train_dataloader = dict(sampler=dict(iterations=50))
train_cfg = dict(max_epochs=8, val_interval=4)
param_scheduler = [dict(type='MultiStepLR', by_epoch=True, begin=0, milestones=[4, 7], gamma=0.1)]

# two tracklets of each identity and modality in each of six cameras
camera = dict(type='CameraLabeler')
within = dict(type='ProxyAffinityLabeler', scale=20.0)
across = dict(type='JointLabeler', scale=20.0)
votes = dict(temperature=1.0, outliers_vote=True, infrared_centers=True)
# 12 tracklets per identity and modality (SYSU-MM01: 20 of 30 images and more)
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
