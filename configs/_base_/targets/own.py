# Cameras of your own with known persons, for supervised training, and VLD's model.
_base_ = ['../datasets/tracklet_folder_target.py', '../models/stp_vit_b16.py']

direction = 'own'
train_dataloader = dict(
    sampler=dict(_delete_=True, type='IdentitySampler', num_identities=4, num_tracklets=4, iterations=200),
    dataset=dict(labelled=True),
)
