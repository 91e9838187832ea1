# Table 5, inter-modal unification only: visible tracklets keep the labels chosen by the votes, without correction.
_base_ = '../dsc/dsc_{{$DSCREID_DIRECTION:bupt2hitsz}}.py'

_cluster, _unify = _base_.default_hooks.cluster.labelers
default_hooks = dict(cluster=dict(labelers=[_cluster, dict(_unify, intra=None)]))
