# PGM (Wu and Ye, CVPR 2023), second stage: progressive graph matching, alternate cross contrastive learning
# (main_worker_stage2 of train_sysu.py and train_regdb.py, trainers.py).
_base_ = './pgm_first.py'

# the last epoch of the first stage; released code: the one that is best on the test set (see adca.py)
source = dict(config='pgm_first.py', checkpoint=None)

model = dict(
    # infrared pictures are not jittered in this stage
    data_preprocessor=dict(augmentation=dict(color_jitter=dict(infrared=()))),
    # weight 0.25; odd epochs compare infrared features with visible centers, even ones the reverse (trainers.py)
    cross_loss=dict(type='CrossClusterLoss', weight=0.125, alternate=True),
    # use_hard=True is written into train_sysu.py; both losses of a memory update it (cm.py)
    memories=dict(cluster=dict(hard=_base_._is_sysu), cross_update=True),
)
# two assignments; train_sysu.py has no cross loss in an epoch with more infrared than visible clusters
_labeler = dict(type='MatchingLabeler', clustering=dict(type='ClusterLabeler'), passes=2, mirror=not _base_._is_sysu)
default_hooks = dict(cluster=dict(labelers=[_labeler]))
