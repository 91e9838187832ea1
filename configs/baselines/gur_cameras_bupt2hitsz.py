# GUR (Yang et al., ICCV 2023) with cameras: the form that its released code has for SYSU-MM01.
_base_ = './bclu_bupt2hitsz.py'

# one run from the source model, without a first stage
#
# An epoch of the release is 8 pairs of a visible and an infrared camera with 50 iterations each, then 200 iterations on
# clusters across cameras, then 200 on joint clusters; here 200 iterations are an epoch of the runner, and all cameras
# train at once, so that the pairs' 400 iterations are two of them. Published: 50 epochs, joint phase in the first 40,
# unification from epoch 30 on and smoothing from 40 on (counted from 0), learning rate x0.1 at epochs 20 and 40. In
# phases: 40 * 4 + 10 * 3 = 190, i.e. 38,000 iterations; unification at 30 * 4 = 120, smoothing and the end of the joint
# phases at 40 * 4 = 160, decays at 20 * 4 = 80 and 160.
train_dataloader = dict(sampler=dict(iterations=200))
train_cfg = dict(max_epochs=190, val_interval=38)
param_scheduler = [dict(type='MultiStepLR', by_epoch=True, begin=0, milestones=[80, 160], gamma=0.1)]

# the release: eps 0.55, 0.05 tighter than across cameras
camera = dict(type='CameraLabeler')

# Jaccard and DBSCAN as in all rows of a table (the release: eps 0.6)
within = dict(type='ProxyAffinityLabeler', scale=20.0)
across = dict(type='JointLabeler', scale=20.0)
# the release: nearly flat weights, outliers can win, centres of infrared tracklets alone
votes = dict(temperature=1.0, outliers_vote=True, infrared_centers=True)
# as published
unified = dict(type='UnificationLabeler', clustering=within, topk=20, smoothing_topk=None, **votes)
smoothed = dict(type='UnificationLabeler', clustering=within, topk=20, smoothing_topk=20, **votes)

default_hooks = dict(
    cluster=dict(
        labelers=[
            dict(begin_epoch=0, cycle=[camera, camera, within, across]),
            dict(begin_epoch=120, cycle=[camera, camera, unified, across]),
            dict(begin_epoch=160, cycle=[camera, camera, smoothed]),
        ],
    ),
)
