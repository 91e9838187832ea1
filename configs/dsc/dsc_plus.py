# DSC plus (ours, not published): chosen on one synthetic world, seed 0 (docs/synthetic_benchmark.md).
_base_ = './dsc_{{$DSCREID_DIRECTION:bupt2hitsz}}.py'

model = dict(
    # Neighbors are other tracklets, and tracklets of the own cluster are no negatives.
    neighbor_losses=[
        dict(loss, include_self=False, own_cluster_negatives=False) for loss in _base_.model.neighbor_losses
    ],
    # A visible and an infrared cluster without a partner may show one person.
    memories=dict(unpaired_negatives=False),
)
# Votes across the modalities compare features without what each sensor does to all tracklets. One vote suffices,
# because members of a visible cluster pool theirs, so that unification divides no cluster and nothing is left to
# correct. No two visible clusters get the same infrared one. A visible cluster whose partner got less than min_share of
# its votes remains a cluster of its own. So few labels are wrong, and the modalities can share them from the first
# epoch on.
_unify = _base_.default_hooks.cluster.labelers[1]
_votes = dict(
    inter=dict(_unify.inter, min_votes=1),
    whitening=dict(shrinkage=0.1),
    pooled=dict(min_share=0.3, one_to_one=True, own_labels=True),
    intra=None,
)
default_hooks = dict(cluster=dict(labelers=[dict(_unify, begin_epoch=0, **_votes)]))
