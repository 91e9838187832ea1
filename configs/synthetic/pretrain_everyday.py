# Third stage of the synthetic tower, after the very varied world: a world whose cameras span both benchmark domains.
_base_ = './pretrain_tower.py'

data_root = '{{$DSCREID_SYNTHETIC_EVERYDAY:data/synthetic/pretrain_everyday}}'
source = None

# only the tower, exported from the last checkpoint of pretrain_tower; the necks start from scratch
model = dict(backbone=dict(tower=dict(pretrained='weights/synthetic_tower_varied.safetensors')))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, begin=0, end=200, by_epoch=False),
    dict(type='CosineAnnealingLR', begin=200, eta_min_ratio=0.01, by_epoch=False),
]
train_cfg = dict(max_epochs=8, val_interval=2)
