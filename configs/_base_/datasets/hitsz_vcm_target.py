# HITSZVCM as the unlabelled target of stage 2: its person ids cannot reach training.
_base_ = './hitsz_vcm.py'

train_dataloader = dict(
    # 16 infrared tracklets and 8 visible ones, each visible one in two views (the paper, read as in ADCA);
    # 4 tracklets per pseudo identity and modality; 200 iterations an epoch as VLD and ADCA
    batch_size=4 * 4 + 2 * 4,
    num_workers=8,
    persistent_workers=True,
    pin_memory=True,
    sampler=dict(type='PseudoLabelSampler', visible=(2, 4), infrared=(4, 4), iterations=200),
    dataset=dict(
        type='HITSZVCM',
        split='train',
        labelled=False,
        pipeline=_base_.train_pipeline,
    ),
)
extraction_dataloader = dict(
    batch_size=128,  # the paper's "clustering batch"
    num_workers=8,
    persistent_workers=True,
    pin_memory=True,
    sampler=dict(type='SequentialSampler'),
    dataset=dict(
        type='HITSZVCM',
        split='train',
        labelled=False,
        pipeline=_base_.eval_pipeline,
    ),
)
