# As in the paper: Adam 2.5e-4, cosine decay, 50 epochs. VLD fine-tunes the same tower with 2.5e-5. If a run diverges
# with the paper's rate, try VLD's: --cfg-options optim_wrapper.optimizer.lr=2.5e-5
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=2.5e-4))
param_scheduler = [
    dict(
        type='CosineAnnealingLR',
        begin=0,
        eta_min_ratio=0.01,
        by_epoch=True,
        convert_to_iter_based=True,
    )
]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=50, val_interval=10)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
