# Last stage of the synthetic tower: a second everyday world with different people.
_base_ = './pretrain_tower.py'

data_root = '{{$DSCREID_SYNTHETIC_EVERYDAY2:data/synthetic/pretrain_everyday2}}'
source = dict(config='pretrain_everyday.py', checkpoint=None)

# overwritten by the weights of the source stage
model = dict(backbone=dict(tower=dict(pretrained='weights/synthetic_tower_varied.safetensors')))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, begin=0, end=200, by_epoch=False),
    dict(type='CosineAnnealingLR', begin=200, eta_min_ratio=0.01, by_epoch=False),
]
train_cfg = dict(max_epochs=6, val_interval=3)
