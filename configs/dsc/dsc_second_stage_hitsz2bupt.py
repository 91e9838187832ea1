# DSC after B+Clu: as much training as ADCA, PGM and NG have, whose second stage begins there.
_base_ = './dsc_hitsz2bupt.py'

source = dict(config='../baselines/bclu_hitsz2bupt.py', checkpoint=None)

# The first stage has clustered each modality by itself: labels are unified, and neighbours count, from the first epoch.
model = dict(
    neighbor_losses=[dict(loss, begin=0) for loss in _base_.model.neighbor_losses],
)
default_hooks = dict(
    cluster=dict(labelers=[dict(_base_.default_hooks.cluster.labelers[-1], begin_epoch=0)]),
)
