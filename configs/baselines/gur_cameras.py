# GUR (Yang et al., ICCV 2023) with cameras, as in its released code for SYSU-MM01.
_base_ = './bclu.py'

# A single run from the source model, without a first stage.
#
# In the release, an epoch trains 8 pairs of a visible and an infrared camera for 50 iterations each, then clusters
# across cameras for 200 iterations, then joint clusters for 200. Here a phase of 200 iterations is an epoch of the
# runner. All cameras train at once, so the 400 iterations of the pairs are two such epochs.
# Published, with epochs counted from 0: 50 epochs, joint phases in the first 40, unification from epoch 30 on,
# smoothing from epoch 40 on, learning rate x0.1 at epochs 20 and 40.
# In phases: 40 * 4 + 10 * 3 = 190 (38,000 iterations), unification at 30 * 4 = 120, smoothing and the end of the joint
# phases at 40 * 4 = 160, decays at 20 * 4 = 80 and 160.
# The demo has DSC's 400 iterations in 8 phases of 50: one round of the four published phases, then rounds with unified
# labels and finally rounds with smoothed labels, with one camera phase each.
_demo = dict(iterations=50, phases=8, val_interval=4, milestones=[4, 7], unify=4, smooth=6)
_paper = dict(iterations=200, phases=190, val_interval=38, milestones=[80, 160], unify=120, smooth=160)
_numbers = dict(
    # topk as published
    bupt2hitsz=dict(_paper, topk=20),
    # Published: topk 20, for identities of 30 or more images. Here: the tracklets of one identity (inferred, untested).
    # BUPTCampus has 2.7 tracklets per identity and modality over six cameras, so there may be no clusters within a
    # camera. The first epoch then fails with an error that names the labeler of gur.py.
    hitsz2bupt=dict(_paper, topk=3),
    # for 12 tracklets per identity and modality, two in each of six cameras
    demo=dict(_demo, topk=10),
    demo_few=dict(_demo, topk=3),
)[_base_.direction.removesuffix('_short')]
train_dataloader = dict(sampler=dict(iterations=_numbers['iterations']))
train_cfg = dict(max_epochs=_numbers['phases'], val_interval=_numbers['val_interval'])
param_scheduler = [dict(type='MultiStepLR', by_epoch=True, begin=0, milestones=_numbers['milestones'], gamma=0.1)]

# release: eps 0.55, which is 0.05 tighter than across cameras
camera = dict(type='CameraLabeler')

# Jaccard distances and DBSCAN as in all other methods of the comparison (release: eps 0.6)
within = dict(type='ProxyAffinityLabeler', scale=20.0)
across = dict(type='JointLabeler', scale=20.0)
# as in the release: nearly flat weights, outliers can win, centers of infrared tracklets only
votes = dict(temperature=1.0, outliers_vote=True, infrared_centers=True)
_topk = _numbers['topk']
unified = dict(type='UnificationLabeler', clustering=within, topk=_topk, smoothing_topk=None, **votes)
smoothed = dict(type='UnificationLabeler', clustering=within, topk=_topk, smoothing_topk=_topk, **votes)
# the cycles after unification and after smoothing; the demo has fewer phases
_rounds = ([camera, camera, unified, across], [camera, camera, smoothed])
if _base_.direction.startswith('demo'):
    _rounds = ([camera, unified], [camera, smoothed])

default_hooks = dict(
    cluster=dict(
        labelers=[
            dict(begin_epoch=0, cycle=[camera, camera, within, across]),
            dict(begin_epoch=_numbers['unify'], cycle=_rounds[0]),
            dict(begin_epoch=_numbers['smooth'], cycle=_rounds[1]),
        ],
    ),
)
