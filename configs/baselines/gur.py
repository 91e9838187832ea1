# GUR (Yang et al., ICCV 2023) without cameras, as in its released code for RegDB.
_base_ = './bclu.py'

# A single run from the source model, without a first stage.
#
# In the release, an epoch has one or two phases of 100 iterations, and each phase extracts and clusters its own
# features. Here each phase is an epoch of the runner.
# Published, with epochs counted from 0: 50 epochs, joint phases in the first 25, unification from epoch 20 on, learning
# rate x0.1 at epochs 20 and 40.
# In phases: 25 * 2 + 25 = 75 (7,500 iterations), unification and the first decay at 20 * 2 = 40, end of the joint
# phases at 25 * 2 = 50, second decay at 25 * 2 + 15 = 65.
# The demo has DSC's 400 iterations in 8 phases of 50, close to the published proportions.
_demo = dict(iterations=50, phases=8, val_interval=4, milestones=[4, 7], unify=4, end_of_joint=6)
_paper = dict(iterations=100, phases=75, val_interval=15, milestones=[40, 65], unify=40, end_of_joint=50)
_numbers = dict(
    # topk for RegDB, which has 10 images per identity and modality; HITSZ-VCM has as many tracklets
    bupt2hitsz=dict(_paper, topk=10),
    # all tracklets of one identity and modality, like 10 of 10 images on RegDB; BUPTCampus has 2.7 (inferred, untested)
    hitsz2bupt=dict(_paper, topk=3),
    # for 12 tracklets per identity and modality
    demo=dict(_demo, topk=10),
    demo_few=dict(_demo, topk=3),
)[_base_.direction.removesuffix('_short')]
train_dataloader = dict(sampler=dict(iterations=_numbers['iterations']))
train_cfg = dict(max_epochs=_numbers['phases'], val_interval=_numbers['val_interval'])
param_scheduler = [dict(type='MultiStepLR', by_epoch=True, begin=0, milestones=_numbers['milestones'], gamma=0.1)]

# Jaccard distances and DBSCAN as in all other methods of the comparison (release: eps 0.3 on RegDB, 0.6 on SYSU-MM01)
within = dict(type='ClusterLabeler')
across = dict(type='JointLabeler', scale=20.0)
unified = dict(
    type='UnificationLabeler',
    clustering=within,
    topk=_numbers['topk'],
    smoothing_topk=_numbers['topk'],
    # as in the release: nearly flat weights, outliers can win, centers of infrared tracklets only
    temperature=1.0,
    outliers_vote=True,
    infrared_centers=True,
)
default_hooks = dict(
    cluster=dict(
        labelers=[
            dict(begin_epoch=0, cycle=[within, across]),
            dict(begin_epoch=_numbers['unify'], cycle=[unified, across]),
            dict(begin_epoch=_numbers['end_of_joint'], **unified),
        ],
    ),
)
