# B+Clu: DSC without label unification and without neighbours; clusters and memories of each modality alone.
_base_ = '../dsc/dsc_bupt2hitsz.py'

model = dict(neighbor_losses=[])
default_hooks = dict(
    cluster=dict(labelers=[dict(type='ClusterLabeler')]),
)
