# AuxNet (Du et al., TIFS 2023): ResNet-34, mean over frames, triplet loss with a large margin. Its auxiliary set and
# generated infrared frames, which HITSZ-VCM lacks, and its re-ranking are left out.
_base_ = '../_base_/methods/supervised.py'

num_frames = 2 if _base_._demo else 10
model = dict(
    backbone=dict(gem_power=1.0),
    losses=dict(triplet=dict(margin=0.6)),
)
if not _base_._demo:
    frame_size = (256, 128)
    model['backbone'].update(depth=34, pretrained='{{$DSCREID_RESNET34:weights/resnet34-b627a593.pth}}')
    # published: 16 pairs of clips of 8 people
    train_dataloader = dict(sampler=dict(num_tracklets=2))
    optim_wrapper = dict(
        optimizer=dict(_delete_=True, type='Adam', lr=2e-4, weight_decay=1e-5),
        paramwise_cfg=dict(_delete_=True),
    )
    param_scheduler = [dict(type='CosineAnnealingLR', begin=0, eta_min=0.0, by_epoch=True, convert_to_iter_based=True)]
    train_cfg = dict(max_epochs=100, val_interval=10)
