# What the unsupervised methods share on image data sets: two-stream ResNet-50 from ImageNet weights, augmentation,
# optimizer and schedule, as in the released code of ADCA, PGM, GUR, N-ULC, RPNR and PCLHD. Names of files in the
# comments here and in configs/images/ are those of the methods' own repositories.
_base_ = ['../models/resnet50.py', '../models/preprocessor.py', '../default_runtime.py']

model = dict(
    type='AdaptiveReID',
    retrieval='neck',
    # the features of a picture and its mirror image are averaged, for clustering and in tests (evaluators.py)
    flip_test=True,
    backbone=_base_.resnet50,
    # transforms of the training scripts, ChannelAug.py
    data_preprocessor=dict(_base_._preprocessor, augmentation=_base_._two_views),
    # A picture's static and dynamic half are the same feature, so each loss enters twice: all weights in
    # configs/images/ are half of the published ones.
    identity_loss=dict(type='ClusterContrastiveLoss', temperature=0.05, weight=0.5),
    neighbor_losses=[],
    # --momentum 0.1 in run_train_sysu.sh and run_train_regdb.sh of ADCA, GUR, RPNR and PCLHD
    memories=dict(cluster=dict(momentum=0.1)),
)

default_hooks = dict(
    cluster=dict(
        type='ClusterHook',
        labelers=[dict(type='ClusterLabeler')],
        batch_size=256,
        # the released code does not adapt the necks before the first epoch
        recalibrate_necks=False,
    ),
    memory=dict(type='MemoryUpdateHook'),
    # Published figures are those of the epoch that is best on the test set. It is recorded under this name. Nothing is
    # chosen by it: the result of the run is its last epoch, and a second stage also starts from the last one.
    test_selected=dict(type='SelectedOnTestHook'),
)

# --lr 0.00035 --weight-decay 5e-4 --step-size 20 --epochs 50, the defaults of all training scripts
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=3.5e-4, weight_decay=5e-4))
param_scheduler = [dict(type='MultiStepLR', by_epoch=True, begin=0, milestones=[20, 40], gamma=0.1)]
# tests from epoch 6 on, as in the released code of ADCA, PGM and GUR
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=50, val_begin=6, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
