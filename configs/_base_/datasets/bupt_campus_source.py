# BUPTCampus as the labeled source of stage 1.
_base_ = './bupt_campus.py'

train_dataloader = dict(
    # 4 identities x 4 tracklets x 2 modalities (VLD's released settings)
    num_workers=8,
    persistent_workers=True,
    pin_memory=True,
    sampler=dict(type='IdentitySampler', num_identities=4, num_tracklets=4, iterations=200),
    dataset=dict(type='BUPTCampus', split='train', pipeline=_base_.train_pipeline),
)
