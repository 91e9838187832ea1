# PGM (Wu and Ye, CVPR 2023), first stage (main_worker_stage1 of train_sysu.py and train_regdb.py).
_base_ = '../_base_/images/{{$DSCREID_DIRECTION:sysu_mm01}}.py'

_is_sysu = _base_.direction == 'sysu_mm01'
model = dict(
    # resnet_agw.py: of this family, only PGM keeps AGW's non-local blocks, which have a width of 1
    backbone=dict(
        _delete_=True,
        type='TwoStreamResNet',
        non_local=True,
        non_local_channels=1,
        gem_power=3.0,
        pretrained=_base_.resnet50.pretrained,
    ),
    # ColorJitter(0.5, 0.5, 0.5, 0.5) on the second visible view; in this stage on SYSU-MM01 also on infrared pictures
    data_preprocessor=dict(
        augmentation=dict(color_jitter=dict(visible=(1,), infrared=(0,) if _is_sysu else ())),
    ),
    # default of --momentum, which the scripts do not set
    memories=dict(cluster=dict(momentum=0.2)),
)
# train_regdb.sh: 30 epochs, --step-size 10
if not _is_sysu:
    train_cfg = dict(max_epochs=30)
    param_scheduler = [dict(type='MultiStepLR', by_epoch=True, begin=0, milestones=[10, 20], gamma=0.1)]
