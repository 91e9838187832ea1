# RPNR (Yin et al., ACM MM 2024) and PCLHD (Shi et al., NeurIPS 2024), first stage: the loss against two centers per
# cluster (main_worker_stage1 of train_sysu.py and train_regdb.py, which use the memory of the second stage, CMhcl and
# CMhybrid).
_base_ = '../_base_/images/{{$DSCREID_DIRECTION:sysu_mm01}}.py'

# cm.py: margin 0.2, --temp 0.05
_two_centers = dict(type='MeanHardContrastiveLoss', temperature=0.05, margin=0.2)
model = dict(
    identity_loss=dict(_two_centers, weight=0.5),
    # --momentum 0.1
    memories=dict(cluster=dict(type='MeanHardMemory')),
)
# -b 128 --num-instances 16: 8 clusters of 16 pictures of each modality
train_dataloader = dict(sampler=dict(visible=(8, 16), infrared=(8, 16)))
# tests after each epoch, and the choice is by Rank-1
train_cfg = dict(val_begin=1)
_metric = dict(sysu_mm01='ir2rgb/Rank-1', regdb='rgb2ir/Rank-1')[_base_.direction]
default_hooks = dict(test_selected=dict(metric=_metric))
