# DSC from HITSZ-VCM (labeled source) to BUPTCampus (unlabeled target), with the settings of the paper except K.
_base_ = ['../_base_/methods/dsc.py', '../_base_/datasets/bupt_campus_target.py']

direction = 'hitsz2bupt'
# Stage 1. checkpoint=None uses the finished source run next to this run's work directory, or trains it first.
source = dict(config='../source/stp_hitsz.py', checkpoint=None)

_cluster, _unify = _base_.default_hooks.cluster.labelers
# K = 5 as in the released SDCL code, because 20 neighbors swamp an identity of three tracklets (paper: 20)
_unify = dict(_unify, intra=dict(topk=5, static_weight=1.0, dynamic_weight=1.0))
default_hooks = dict(cluster=dict(labelers=[_cluster, _unify]))
