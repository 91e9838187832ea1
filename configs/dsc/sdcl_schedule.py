# DSC's model with the schedule of its parent SDCL (Yang et al., CVPR 2024), where the DSC paper states none or only
# sums the terms.
_base_ = './dsc_{{$DSCREID_DIRECTION:bupt2hitsz}}.py'

# Same as SDCL's release: neighbors within a modality from the first epoch, across modalities from epoch 10, unification
# from epoch 30 (of 50); weights 1 and 0.5 before unification, 0.1 and 0.1 afterwards (also used by DSC).
# Different from SDCL's release: the optimizer and its cosine decay are those of the DSC paper (SDCL: SGD 3.5e-4, x0.1
# every 20 epochs), and an epoch keeps 200 iterations after unification (SDCL: 100).
_numbers = dict(
    # SDCL's own values instead of 'auto', because visible tracklets use half of k1 below
    bupt2hitsz=dict(clustering=dict(k1=30, k2=6, eps=0.6, min_samples=4), visible_k1=15, topk=20, across=10, unify=30),
    # SDCL's own values merge identities of 2.7 tracklets per modality or leave them without a core point. Inferred from
    # the counts, untested.
    hitsz2bupt=dict(clustering=dict(k1=8, k2=3, eps=0.5, min_samples=2), visible_k1=4, topk=20, across=10, unify=30),
    # what 'auto' finds on the tuning world (--seed 0); topk for 12 tracklets per identity and modality (RegDB: 10 for
    # 10 images)
    demo=dict(clustering=dict(k1=12, k2=3, eps=0.55, min_samples=3), visible_k1=6, topk=10, across=1, unify=2),
    demo_few=dict(clustering=dict(k1=8, k2=3, eps=0.5, min_samples=2), visible_k1=4, topk=5, across=1, unify=2),
)[_base_.direction.removesuffix('_short')]

# deep (here dynamic) 1, shallow (here static) 0.5; DSC weights both equally
_weights = dict(static_weight=0.5, dynamic_weight=1.0)
_within, _across = _base_.model.neighbor_losses
model = dict(
    neighbor_losses=[
        dict(_within, **_weights),
        # even epochs: visible to infrared, at a tenth of the weight; odd epochs: infrared to visible
        dict(_across, **_weights, begin=_numbers['across'], alternate=True, pair_weights=(0.1, 1.0)),
    ],
)
clustering = _numbers['clustering']
default_hooks = dict(
    cluster=dict(
        labelers=[
            dict(type='ClusterLabeler', begin_epoch=0),
            dict(
                type='DSLULabeler',
                begin_epoch=_numbers['unify'],
                # from here on, visible tracklets are clustered with half the neighbors
                clustering=dict(type='ClusterLabeler', visible=dict(k1=_numbers['visible_k1'])),
                # "outlier" can win like any other label, but visible tracklets that are outliers in their own modality
                # are left out
                inter=dict(topk=_numbers['topk'], outliers_vote=True),
                intra=dict(topk=5, static_weight=1.0, dynamic_weight=1.0, outliers_vote=True),
                require_own_cluster=True,
            ),
        ],
    ),
)
