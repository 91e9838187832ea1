# DSC after B+Clu: the same amount of training as ADCA, PGM and NG, whose second stage also starts from B+Clu.
_base_ = './dsc_{{$DSCREID_DIRECTION:bupt2hitsz}}.py'

source = dict(config='../baselines/bclu.py', checkpoint=None)

# The first stage has already clustered each modality separately, so labels are unified and neighbors are used from the
# first epoch.
model = dict(neighbor_losses=[dict(loss, begin=0) for loss in _base_.model.neighbor_losses])
default_hooks = dict(cluster=dict(labelers=[dict(_base_.default_hooks.cluster.labelers[-1], begin_epoch=0)]))
