# GUR (Yang et al., ICCV 2023) with cameras, as in its released code for SYSU-MM01.
_base_ = './bclu_bupt2hitsz.py'

# A single run from the source model, without a first stage.
#
# In the release, an epoch trains 8 pairs of a visible and an infrared camera for 50 iterations each, then clusters
# across cameras for 200 iterations, then joint clusters for 200. Here a phase of 200 iterations is an epoch of the
# runner. All cameras train at once, so the 400 iterations of the pairs are two such epochs.
# Published, with epochs counted from 0: 50 epochs, joint phases in the first 40, unification from epoch 30 on,
# smoothing from epoch 40 on, learning rate x0.1 at epochs 20 and 40.
# In phases: 40 * 4 + 10 * 3 = 190 (38,000 iterations), unification at 30 * 4 = 120, smoothing and the end of the joint
# phases at 40 * 4 = 160, decays at 20 * 4 = 80 and 160.
train_dataloader = dict(sampler=dict(iterations=200))
train_cfg = dict(max_epochs=190, val_interval=38)
param_scheduler = [dict(type='MultiStepLR', by_epoch=True, begin=0, milestones=[80, 160], gamma=0.1)]

# release: eps 0.55, which is 0.05 tighter than across cameras
camera = dict(type='CameraLabeler')

# Jaccard distances and DBSCAN as in all other methods of the comparison (release: eps 0.6)
within = dict(type='ProxyAffinityLabeler', scale=20.0)
across = dict(type='JointLabeler', scale=20.0)
# as in the release: nearly flat weights, outliers can win, centers of infrared tracklets only
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
