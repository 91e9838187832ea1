# RPNR (Yin et al., ACM MM 2024), second stage (main_worker_stage2 of train_sysu.py and train_regdb.py, trainers.py).
_base_ = './rpnr_first.py'

# the last epoch of the first stage; released code: the one that is best on the test set (see adca.py)
source = dict(config='rpnr_first.py', checkpoint=None)

_is_sysu = _base_.direction == 'sysu_mm01'
model = dict(
    # trainers.py: 0.25 cross, 0.5 hybrid, 10 relaxed; even epochs compare visible features, odd ones infrared
    cross_loss=dict(type='CrossClusterLoss', weight=0.125, alternate=True, half_loss=_base_._two_centers),
    hybrid_loss=dict(type='CrossClusterLoss', weight=0.25, alternate=True, half_loss=_base_._two_centers),
    relaxed_loss=dict(type='RelaxedContrastiveLoss', weight=5.0, scale=1.0),
    memories=dict(cross_update=True),
)
# The batch of train_regdb.py has half as many visible pictures (batch_size // 2). Its second infrared view, with a
# brightness jitter and a channel operation of its own, is left out here.
train_dataloader = dict(sampler=dict(visible=(8, 16) if _is_sysu else (4, 16)))
_labeler = dict(
    type='PrototypeLabeler',
    clustering=dict(type='ClusterLabeler'),
    # generate_cluster_features_corr: 20 samples in train_sysu.py, 5 in train_regdb.py; similar above 0.5
    samples=20 if _is_sysu else 5,
    threshold=0.5,
    # ot.sinkhorn(reg=5, numItermax=5000, stopThr=1e-5)
    regularization=5.0,
    tolerance=1e-5,
    max_steps=5000,
)
default_hooks = dict(cluster=dict(labelers=[_labeler]))
