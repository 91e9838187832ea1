# DSC from any source weights (--source-checkpoint) to cameras of your own, without labels.
_base_ = ['../_base_/methods/dsc.py', '../_base_/datasets/tracklet_folder_target.py']

direction = 'own'
source = dict(config='../source/stp_bupt.py', checkpoint=None)

_cluster, _unify = _base_.default_hooks.cluster.labelers
# K = 5 as for BUPTCampus, because own cameras also see most people in few tracklets
_unify = dict(_unify, intra=dict(topk=5, static_weight=1.0, dynamic_weight=1.0))
default_hooks = dict(cluster=dict(labelers=[_cluster, _unify]))
