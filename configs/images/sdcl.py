# SDCL (Yang et al., CVPR 2024), one run from self-supervised weights (cluster_contrast_vit_sysu.py and
# cluster_contrast_vit_regdb.py, trainers.py, make_model.py). Its deep half is dynamic here, its shallow half static.
_base_ = '../_base_/images/{{$DSCREID_DIRECTION:sysu_mm01}}.py'

_numbers = dict(
    # neighbors within a modality from epoch 0, across from 10, unification from 30 on; 20 neighbors vote
    sysu_mm01=dict(iterations=200, epochs=50, intra=0, across=10, unify=30, topk=20, visible_k1=15),
    # from 1, 10 and 20 of 30; 10 neighbors vote
    regdb=dict(iterations=50, epochs=30, intra=1, across=10, unify=20, topk=10, visible_k1=30),
)[_base_.direction]

# deep 1, shallow 0.5 (trainers.py)
_halves = dict(static_weight=0.5, dynamic_weight=1.0)
model = dict(
    # PRETRAIN_PATH and STEM_CONV of vit_base_ics_288.yml
    backbone=dict(
        _delete_=True, type='ShallowDeepViT', conv_stem=True,
        pretrained='{{$DSCREID_LUP_VIT_B16:weights/vit_base_ics_cfs_lup.pth}}',
    ),
    # ColorJitter(0.5, 0.5, 0.5, 0.5) in all three pipelines
    data_preprocessor=dict(augmentation=dict(color_jitter=dict(visible=(0, 1), infrared=(0,)))),
    # the two halves are different features here, with weight 1 each
    identity_loss=dict(weight=1.0),
    neighbor_losses=[
        # 1.0, after unification 0.1
        dict(
            type='NeighborContrastiveLoss', pairs=('vv', 'tt'), alpha=0.9, weight=1.0, unified_weight=0.1,
            begin=_numbers['intra'], **_halves,
        ),
        # 0.5, after unification 0.1; even epochs visible to infrared, at a tenth of the weight, odd ones the reverse
        dict(
            type='NeighborContrastiveLoss', pairs=('vt', 'tv'), alpha=0.9, weight=0.5, unified_weight=0.1,
            begin=_numbers['across'], alternate=True, pair_weights=(0.1, 1.0), **_halves,
        ),
    ],
    # --momentum 0.1 (train_cc_vit_sysu.sh); on RegDB, the release uses 0.99 in the first epoch (--momentum 0.99), which
    # is left out here. Instance banks: 0.9, of features that are not normalized first.
    memories=dict(cluster=dict(momentum=0.1), instance=dict(momentum=0.9, normalize_queries=False)),
)  # fmt: skip
# 128 infrared pictures, 128 visible ones in two views, 16 of a cluster. The release halves the iterations per epoch on
# SYSU-MM01 once labels are unified; here they stay the same.
train_dataloader = dict(sampler=dict(visible=(8, 16), infrared=(8, 16), iterations=_numbers['iterations']))
_labelers = [
    dict(type='ClusterLabeler', begin_epoch=0),
    dict(
        type='DSLULabeler',
        begin_epoch=_numbers['unify'],
        clustering=dict(type='ClusterLabeler', visible=dict(k1=_numbers['visible_k1'])),
        inter=dict(topk=_numbers['topk'], outliers_vote=True),
        intra=dict(topk=5, static_weight=1.0, dynamic_weight=1.0, outliers_vote=True),
        require_own_cluster=True,
    ),
]
default_hooks = dict(cluster=dict(labelers=_labelers))
# SGD, --lr 0.00035, momentum 0.9, weight decay 5e-4
optim_wrapper = dict(optimizer=dict(_delete_=True, type='SGD', lr=3.5e-4, momentum=0.9, weight_decay=5e-4))
train_cfg = dict(max_epochs=_numbers['epochs'])
param_scheduler = [
    dict(
        type='MultiStepLR', by_epoch=True, begin=0, gamma=0.1,
        milestones=[step for step in (20, 40) if step < _numbers['epochs']],
    )
]  # fmt: skip
