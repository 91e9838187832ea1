# LLCM as the unlabeled target of stage 2. Its person ids cannot reach training.
_base_ = './llcm.py'

train_dataloader = dict(
    num_workers=8,
    persistent_workers=True,
    pin_memory=True,
    # 256 infrared and 128 visible pictures, each visible one in two views, 16 per pseudo identity, as in ADCA
    sampler=dict(type='PseudoLabelSampler', visible=(8, 16), infrared=(16, 16), iterations=200),
    dataset=dict(type='LLCM', split='train', labelled=False, pipeline=_base_.train_pipeline),
)
