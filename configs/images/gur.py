# GUR (Yang et al., ICCV 2023), one run from ImageNet weights: with cameras on SYSU-MM01 (sysu_train.py), without on
# RegDB (regdb_train.py). Each phase of the released code is an epoch of the runner; see baselines/gur_cameras.py and
# baselines/gur.py for how published epochs become phases.
_base_ = '../_base_/images/{{$DSCREID_DIRECTION:sysu_mm01}}.py'

# weights of votes are nearly flat, outliers can win, centers are those of infrared pictures
_votes = dict(type='UnificationLabeler', temperature=1.0, outliers_vote=True, infrared_centers=True)
_across = dict(type='JointLabeler', scale=20.0)
if _base_.direction == 'sysu_mm01':
    # sysu_train.py: 50 epochs of 4 x 2 camera pairs x 50 iterations (2 phases of 200 here), 200 within the modality,
    # and 200 across until epoch 40; unification from epoch 30 on, smoothing from 40 on; both with 20 neighbors
    _camera = dict(type='CameraLabeler', eps=0.55)
    _within = dict(type='ProxyAffinityLabeler', scale=20.0)
    _unified = dict(_votes, clustering=_within, topk=20, smoothing_topk=None)
    _smoothed = dict(_votes, clustering=_within, topk=20, smoothing_topk=20)
    _labelers = [
        dict(begin_epoch=0, cycle=[_camera, _camera, _within, _across]),
        dict(begin_epoch=120, cycle=[_camera, _camera, _unified, _across]),
        dict(begin_epoch=160, cycle=[_camera, _camera, _smoothed]),
    ]
    # step 20 of 50 epochs
    _numbers = dict(iterations=200, phases=190, milestones=[80, 160], tests=4)
else:
    # regdb_train.py: 50 epochs of 100 iterations within the modality, and 100 across until epoch 25; unification and
    # smoothing with 10 neighbors from epoch 20 on
    _within = dict(type='ClusterLabeler')
    _unified = dict(_votes, clustering=_within, topk=10, smoothing_topk=10)
    _labelers = [
        dict(begin_epoch=0, cycle=[_within, _across]),
        dict(begin_epoch=40, cycle=[_unified, _across]),
        dict(begin_epoch=50, **_unified),
    ]
    _numbers = dict(iterations=100, phases=75, milestones=[40, 65], tests=1)

train_dataloader = dict(sampler=dict(iterations=_numbers['iterations']))
train_cfg = dict(max_epochs=_numbers['phases'], val_begin=6 * _numbers['tests'], val_interval=_numbers['tests'])
param_scheduler = [dict(type='MultiStepLR', by_epoch=True, begin=0, milestones=_numbers['milestones'], gamma=0.1)]
default_hooks = dict(cluster=dict(labelers=_labelers))
