# DSC on rendered people of three tracklets per modality: K = 5, as for BUPTCampus within the
# modality, and one vote. The K and votes of dsc_demo.py suit twelve tracklets; three cannot give that many votes.
_base_ = './dsc_demo.py'

direction = 'demo_few'
_cluster, _unify = _base_.default_hooks.cluster.labelers
_unify = dict(_unify, inter=dict(topk=5), intra=dict(topk=5, static_weight=1.0, dynamic_weight=1.0))
default_hooks = dict(cluster=dict(labelers=[_cluster, _unify]))
