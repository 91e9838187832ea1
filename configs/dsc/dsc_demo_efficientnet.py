# DSC of the short demo with EfficientNet-Lite0 from ImageNet weights. Other methods inherit it by this direction, such
# as baselines/bclu_demo_efficientnet.
_base_ = ['./dsc_demo_short.py', '../_base_/models/efficientnet.py']

direction = 'demo_efficientnet'
source = dict(config='../source/efficientnet_demo.py')
model = _source_model = _base_.efficientnet
num_frames = 2  # per tracklet, for a CPU
# Before adaptation its features agree in too few neighbors for the demo's minimum of four votes. One is the paper's.
_cluster, _unify = _base_.default_hooks.cluster.labelers
default_hooks = dict(cluster=dict(labelers=[_cluster, dict(_unify, inter=dict(_unify.inter, min_votes=1))]))
