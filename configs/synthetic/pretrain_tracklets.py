# Last stage of the synthetic encoder: tower, prompts and temporal attention on tracklets of a varied world, in which
# people pass behind others, walk through shadows and blur. Prompts and attention that begin from random weights in a
# source stage of a few hundred iterations do not carry over to another world.
#   python tools/synthesize.py --layout bupt --preset pretrain --domain everyday --identities 1500 --seed 21 \
#       --tracklets 4 --frames 12 12 --occluded 0.5 --changing-light 0.3 --motion-blur 0.2 \
#       --out data/synthetic/pretrain_tracklets
#   python tools/train.py configs/synthetic/pretrain_tracklets.py
#   python tools/model_converters/export_tower.py work_dirs/pretrain_tracklets/epoch_8.pth \
#       dscreid/weights/synthetic_encoder.safetensors --encoder
_base_ = '../source/stp_demo.py'

data_root = '{{$DSCREID_SYNTHETIC_TRACKLETS:data/synthetic/pretrain_tracklets}}'
# the tower as exported after pretrain_everyday2
model = dict(
    backbone=dict(pretrained_prompts=False, tower=dict(pretrained='weights/synthetic_tower.safetensors')),
)
train_dataloader = dict(sampler=dict(num_identities=8, num_tracklets=2, iterations=300))
optim_wrapper = dict(
    optimizer=dict(lr=5e-4),
    paramwise_cfg=dict(
        custom_keys={'backbone.attn': dict(lr_mult=10.0), 'prompt_embedding': dict(lr_mult=10.0)},
    ),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, begin=0, end=100, by_epoch=False),
    dict(type='CosineAnnealingLR', begin=100, eta_min_ratio=0.01, by_epoch=False),
]
train_cfg = dict(max_epochs=8, val_interval=4)
