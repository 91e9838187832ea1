# Warm-up of the synthetic tower on a plainer world: cameras of the source domain, different people.
_base_ = './pretrain_tower.py'

data_root = '{{$DSCREID_SYNTHETIC_WARMUP:data/synthetic/pretrain_warmup}}'
source = None

param_scheduler = [dict(type='LinearLR', start_factor=0.01, begin=0, end=1, by_epoch=True, convert_to_iter_based=True)]
train_cfg = dict(max_epochs=3, val_interval=1)
