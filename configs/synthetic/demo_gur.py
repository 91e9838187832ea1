# GUR without cameras on the demo's target; numbers without a comment as in configs/baselines/gur_bupt2hitsz.py.
_base_ = './demo_bclu.py'

# The other methods' 600 iterations in 12 phases of 50, in the published proportions: of 8 epochs the first 4 have a
# joint phase (published 25 of 50), and unification begins with the fourth (20 of 50). Decays after 0.4 and 0.8 of the
# epochs.
train_dataloader = dict(sampler=dict(iterations=50))
train_cfg = dict(max_epochs=12, val_interval=4)
param_scheduler = [dict(type='MultiStepLR', by_epoch=True, begin=0, end=12, milestones=[6, 10], gamma=0.1)]

within = dict(type='ClusterLabeler', **_base_.clustering)
# twice as many tracklets per identity when both modalities are clustered together, but k1 as published the same
across = dict(type='JointLabeler', scale=20.0, **_base_.clustering)
unified = dict(
    type='UnificationLabeler',
    clustering=within,
    # 12 tracklets per identity and modality (RegDB: 10 of 10 images)
    topk=10,
    smoothing_topk=10,
    temperature=1.0,
    outliers_vote=True,
    infrared_centers=True,
)
default_hooks = dict(
    cluster=dict(
        labelers=[
            dict(begin_epoch=0, cycle=[within, across]),
            dict(begin_epoch=6, cycle=[unified, across]),
            dict(begin_epoch=8, **unified),
        ],
    ),
)
