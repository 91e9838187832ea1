# DART (Yang et al., CVPR 2022): two networks of CAJ; each weights the labels by how likely the other one finds them.
# Published with 20 % wrong labels: --cfg-options train_dataloader.dataset.label_noise=0.2
_base_ = './caj.py'

# Published: one epoch with all labels alike. The short epochs of the demo need two before the losses are informative.
_warmup = 2 if _base_._demo else 1
_trunk = dict(
    type='TwoStreamResNet',
    depth=18 if _base_._demo else 50,
    gem_power=3.0,
    non_local=True,
    pretrained=None if _base_._demo else '{{$DSCREID_RESNET50:weights/resnet50-0676ba61.pth}}',
)
_robust = dict(type='RobustTripletLoss', margin=0.3, threshold=0.5, begin=_warmup)
model = dict(
    # the sum of the cosine similarities of both networks
    ranking='neck_both',
    tracklet_parts=('clean_static', 'clean_dynamic'),
    backbone=dict(_delete_=True, type='TwinEncoder', encoder=_trunk),
    heads=dict(dynamic=dict(type='IdentityHead', part='neck_dynamic')),
    losses=dict(
        id=dict(end=_warmup),
        id_dynamic=dict(type='IdentityLoss', part='dynamic_head', end=_warmup),
        clean_id=dict(type='CleanIdentityLoss', part='static_head', clean='clean_static', begin=_warmup),
        clean_id_dynamic=dict(type='CleanIdentityLoss', part='dynamic_head', clean='clean_dynamic', begin=_warmup),
        triplet=dict(_delete_=True, **_robust),
        triplet_dynamic=dict(_robust, part='dynamic', head='dynamic_head', clean='clean_dynamic'),
    ),
)
default_hooks = dict(clean=dict(type='CleanProbabilityHook', begin=_warmup))
