# B+Clu: DSC without label unification and without neighbors. Each modality has its own clusters and memories.
_base_ = '../dsc/dsc_{{$DSCREID_DIRECTION:bupt2hitsz}}.py'

model = dict(neighbor_losses=[])
default_hooks = dict(cluster=dict(labelers=[dict(type='ClusterLabeler')]))
