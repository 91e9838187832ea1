# Cameras of your own as the unlabeled target of stage 2. Persons, if any, cannot reach training.
_base_ = './tracklet_folder.py'

train_dataloader = dict(
    num_workers=8,
    persistent_workers=True,
    pin_memory=True,
    # as in hitsz_vcm_target.py
    sampler=dict(type='PseudoLabelSampler', visible=(2, 4), infrared=(4, 4), iterations=200),
    dataset=dict(type='TrackletFolder', split='train', labelled=False, pipeline=_base_.train_pipeline),
)
