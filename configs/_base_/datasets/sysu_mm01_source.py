# SYSU-MM01 with labels.
_base_ = './sysu_mm01.py'

train_dataloader = dict(
    num_workers=8,
    persistent_workers=True,
    pin_memory=True,
    # 8 identities x 4 pictures x 2 modalities, as in AGW; an epoch draws as many visible pictures as there are
    sampler=dict(type='IdentitySampler', num_identities=8, num_tracklets=4, iterations=695),
    dataset=dict(type='SYSUMM01', split='train', pipeline=_base_.train_pipeline),
)
