# DSC plus (ours, not published): chosen on one synthetic world, seed 0 (docs/synthetic_benchmark.md).
_base_ = './dsc_{{$DSCREID_DIRECTION:bupt2hitsz}}.py'

# Neighbors are other tracklets, and tracklets of the own cluster are no negatives.
model = dict(
    neighbor_losses=[
        dict(loss, include_self=False, own_cluster_negatives=False) for loss in _base_.model.neighbor_losses
    ]
)
# Votes across the modalities compare features without what each sensor does to all tracklets. One vote suffices,
# because members of a visible cluster pool theirs, so that unification divides no cluster and nothing is left to
# correct.
_cluster, _unify = _base_.default_hooks.cluster.labelers
_votes = dict(
    inter=dict(_unify.inter, min_votes=1), whitening=dict(shrinkage=0.1), pooled=dict(min_share=0.3), intra=None
)
default_hooks = dict(cluster=dict(labelers=[_cluster, dict(_unify, **_votes)]))
