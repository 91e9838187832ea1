# GUR without cameras on the demo's target. Numbers without a comment are those of
# configs/baselines/gur_bupt2hitsz.py.
_base_ = './demo_bclu.py'

# The 400 iterations of DSC in 8 phases of 50, close to the published proportions. Joint phases alternate with others in
# the first 6 phases (published: the first two thirds). Unification begins with the fifth phase (published: after 0.53
# of the phases). The rate decays after 0.5 and 0.9 of the phases.
train_dataloader = dict(sampler=dict(iterations=50))
train_cfg = dict(max_epochs=8, val_interval=4)
param_scheduler = [dict(type='MultiStepLR', by_epoch=True, begin=0, milestones=[4, 7], gamma=0.1)]

within = dict(type='ClusterLabeler')
across = dict(type='JointLabeler', scale=20.0)
unified = dict(
    type='UnificationLabeler',
    clustering=within,
    # for 12 tracklets per identity and modality (RegDB: 10 for 10 images)
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
            dict(begin_epoch=4, cycle=[unified, across]),
            dict(begin_epoch=6, **unified),
        ],
    ),
)
