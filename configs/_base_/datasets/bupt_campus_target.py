# BUPTCampus as the unlabeled target of stage 2. Its person ids cannot reach training.
_base_ = './bupt_campus.py'

train_dataloader = dict(
    # 16 infrared and 8 visible tracklets, each visible one in two views (from the paper, interpreted as in ADCA);
    # 4 tracklets per pseudo identity and modality; 200 iterations per epoch as in VLD and ADCA
    num_workers=8,
    persistent_workers=True,
    pin_memory=True,
    sampler=dict(type='PseudoLabelSampler', visible=(2, 4), infrared=(4, 4), iterations=200),
    dataset=dict(
        type='BUPTCampus',
        split='train',
        labelled=False,
        pipeline=_base_.train_pipeline,
    ),
)
