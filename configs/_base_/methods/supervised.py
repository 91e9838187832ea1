# Supervised training on the target, as the image methods of the visible-infrared field share it: two-stream ResNet,
# average over the frames before the neck, one classifier, one triplet loss. A method changes heads and losses by name.
_base_ = ['../targets/{{$DSCREID_DIRECTION:bupt2hitsz}}.py', '../default_runtime.py']

# Rendered worlds: a shallow network from random weights, two frames, a short schedule.
_demo = _base_.direction.startswith('demo')
num_frames = 2 if _demo else _base_.num_frames
_normalization = _base_.model.data_preprocessor
_tower = _base_.model.backbone.tower  # for methods that start from CLIP
model = dict(
    _delete_=True,
    type='SupervisedReID',
    # None: counted from the training data
    num_classes=None,
    # both halves are the same feature, so one of them ranks
    ranking='neck_static',
    flip_test=False,
    data_preprocessor=dict(
        type='TrackletDataPreprocessor',
        mean=_normalization.mean,
        std=_normalization.std,
        augmentation=dict(flip=0.5, pad=3 if _demo else 10, visible_views=('plain',), infrared_views=('plain',)),
    ),
    backbone=dict(
        type='TwoStreamResNet',
        depth=18 if _demo else 50,
        gem_power=3.0,
        # torchvision's IMAGENET1K_V1
        pretrained=None if _demo else '{{$DSCREID_RESNET50:weights/resnet50-0676ba61.pth}}',
    ),
    heads=dict(static=dict(type='IdentityHead', part='neck_static')),
    losses=dict(
        id=dict(type='IdentityLoss', part='static_head'),
        triplet=dict(type='BatchHardTripletLoss', part='static', margin=0.3),
    ),
)
default_hooks = dict(losses=dict(type='LossScheduleHook'))

# 8 identities x 4 tracklets x 2 modalities, in clips where the methods have images. Epochs of 200 batches as in VLD;
# theirs go through the training data once.
if not _demo:
    train_dataloader = dict(sampler=dict(num_identities=8, num_tracklets=4))

# SGD 0.1 (0.01 for the trunk), 10 epochs of warm-up, x0.1 at epoch 20, x0.01 at epoch 50 of 81, as in the released code
# of AGW and most that followed.
_sgd = dict(type='SGD', lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='Adam', lr=1e-3, weight_decay=5e-4) if _demo else _sgd,
    paramwise_cfg=None if _demo else dict(custom_keys={'backbone': dict(lr_mult=0.1)}),
)
param_scheduler = [
    dict(type='CosineAnnealingLR', begin=0, eta_min_ratio=0.01, by_epoch=True, convert_to_iter_based=True)
]
if not _demo:
    param_scheduler = [
        dict(type='LinearLR', start_factor=0.1, begin=0, end=10, by_epoch=True),
        dict(type='MultiStepLR', begin=0, milestones=[20, 50], gamma=0.1, by_epoch=True),
    ]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=4 if _demo else 81, val_interval=4 if _demo else 9)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
