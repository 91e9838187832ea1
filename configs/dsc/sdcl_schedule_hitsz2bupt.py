# DSC's model with the schedule of its parent SDCL (Yang et al., CVPR 2024), where the DSC paper states none or only
# sums the terms.
_base_ = './dsc_hitsz2bupt.py'

# Same as SDCL's release: neighbors within a modality from the first epoch, across modalities from epoch 10, unification
# from epoch 30 (of 50); weights 1 and 0.5 before unification, 0.1 and 0.1 afterwards (also used by DSC).
# Different from SDCL's release: the optimizer and its cosine decay are those of the DSC paper (SDCL: SGD 3.5e-4, x0.1
# every 20 epochs), and an epoch keeps 200 iterations after unification (SDCL: 100).
model = dict(
    neighbor_losses=[
        dict(
            type='NeighborContrastiveLoss',
            pairs=('vv', 'tt'),
            alpha=0.9,
            weight=1.0,
            unified_weight=0.1,
            # deep (here dynamic) 1, shallow (here static) 0.5; DSC weights both equally
            static_weight=0.5,
            dynamic_weight=1.0,
        ),
        dict(
            type='NeighborContrastiveLoss',
            pairs=('vt', 'tv'),
            alpha=0.9,
            weight=0.5,
            unified_weight=0.1,
            begin=10,
            static_weight=0.5,
            dynamic_weight=1.0,
            # even epochs: visible to infrared, at a tenth of the weight; odd epochs: infrared to visible
            alternate=True,
            pair_weights=(0.1, 1.0),
        ),
    ],
)
# SDCL's own values (k1=30, k2=6, eps=0.6, min_samples=4) merge identities of 2.7 tracklets per modality or leave them
# without a core point. Fixed values instead of 'auto', because visible tracklets use half of k1 below. Inferred from
# the counts, untested.
clustering = dict(k1=8, k2=3, eps=0.5, min_samples=2)
default_hooks = dict(
    cluster=dict(
        labelers=[
            dict(type='ClusterLabeler', begin_epoch=0),
            dict(
                type='DSLULabeler',
                begin_epoch=30,
                # from here on, visible tracklets are clustered with half the neighbors (SDCL: 15 instead of 30)
                clustering=dict(type='ClusterLabeler', visible=dict(k1=4)),
                # "outlier" can win like any other label, but visible tracklets that are outliers in their own modality
                # are left out
                inter=dict(topk=20, outliers_vote=True),
                intra=dict(topk=5, static_weight=1.0, dynamic_weight=1.0, outliers_vote=True),
                require_own_cluster=True,
            ),
        ],
    ),
)
