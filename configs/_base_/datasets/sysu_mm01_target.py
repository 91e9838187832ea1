# SYSU-MM01 as the unlabeled target of stage 2. Its person ids cannot reach training.
_base_ = './sysu_mm01.py'

train_dataloader = dict(
    num_workers=8,
    persistent_workers=True,
    pin_memory=True,
    # 256 infrared and 128 visible pictures, each visible one in two views, 16 per pseudo identity, as in ADCA
    sampler=dict(type='PseudoLabelSampler', visible=(8, 16), infrared=(16, 16), iterations=200),
    dataset=dict(type='SYSUMM01', split='train', labelled=False, pipeline=_base_.train_pipeline),
)
