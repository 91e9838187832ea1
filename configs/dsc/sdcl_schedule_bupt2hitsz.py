# DSC's model with the schedule of its parent SDCL (Yang et al., CVPR 2024) where the DSC paper is silent or sums terms.
_base_ = './dsc_bupt2hitsz.py'

# As in SDCL's release: neighbours within a modality from the first epoch, across modalities from epoch 10, unification
# from epoch 30 (of 50); weights 1 and 0.5 before it, 0.1 and 0.1 after it, which are DSC's too.
# Otherwise than there: the optimiser and its cosine stay the DSC paper's (SDCL: SGD 3.5e-4, x0.1 every 20 epochs), and
# an epoch keeps its 200 iterations after unification, where SDCL goes down to 100.
model = dict(
    neighbor_losses=[
        dict(
            type='NeighborContrastiveLoss',
            pairs=('vv', 'tt'),
            alpha=0.9,
            weight=1.0,
            unified_weight=0.1,
            # deep (here dynamic) 1, shallow (here static) 0.5; DSC sums both alike
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
            # even epochs visible to infrared, at a tenth of the weight; odd ones infrared to visible
            alternate=True,
            pair_weights=(0.1, 1.0),
        ),
    ],
)
# SDCL's own, which name half the neighbours for visible tracklets below
clustering = dict(k1=30, k2=6, eps=0.6, min_samples=4)
default_hooks = dict(
    cluster=dict(
        labelers=[
            dict(type='ClusterLabeler', begin_epoch=0),
            dict(
                type='DSLULabeler',
                begin_epoch=30,
                # visible tracklets are clustered with half the neighbours from here on
                clustering=dict(type='ClusterLabeler', visible=dict(k1=15)),
                # "outlier" is a label like any other and can win, but a visible outlier of its own modality is left out
                inter=dict(topk=20, outliers_vote=True),
                intra=dict(topk=5, static_weight=1.0, dynamic_weight=1.0, outliers_vote=True),
                require_own_cluster=True,
            ),
        ],
    ),
)
