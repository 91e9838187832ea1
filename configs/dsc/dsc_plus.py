# DSC plus (ours, not published): provisional, tried on one synthetic world so far (docs/synthetic_benchmark.md).
_base_ = './dsc_{{$DSCREID_DIRECTION:bupt2hitsz}}.py'

# Neighbors are other tracklets, and tracklets of the own cluster are no negatives.
model = dict(
    neighbor_losses=[
        dict(loss, include_self=False, own_cluster_negatives=False) for loss in _base_.model.neighbor_losses
    ]
)
# Members of a visible cluster pool their votes, so that unification divides no cluster and nothing is left to correct.
_cluster, _unify = _base_.default_hooks.cluster.labelers
default_hooks = dict(cluster=dict(labelers=[_cluster, dict(_unify, pooled=dict(min_share=0.5), intra=None)]))
