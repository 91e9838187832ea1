# Unification from the first epoch, without an epoch in which each modality is clustered by itself.
_base_ = '../dsc/dsc_{{$DSCREID_DIRECTION:bupt2hitsz}}.py'

default_hooks = dict(cluster=dict(labelers=[dict(_base_.default_hooks.cluster.labelers[1], begin_epoch=0)]))
