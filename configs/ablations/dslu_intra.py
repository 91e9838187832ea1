# Table 5, intra-modal correction only: visible tracklets keep their own clusters, corrected by their neighbors.
_base_ = '../dsc/dsc_{{$DSCREID_DIRECTION:bupt2hitsz}}.py'

_cluster, _unify = _base_.default_hooks.cluster.labelers
default_hooks = dict(cluster=dict(labelers=[_cluster, dict(_unify, inter=None)]))
