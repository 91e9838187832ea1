# B+Clu on the demo's target: each modality has its own clusters.
_base_ = './demo_dsc.py'

model = dict(neighbor_losses=[])
default_hooks = dict(cluster=dict(labelers=[dict(type='ClusterLabeler')]))
