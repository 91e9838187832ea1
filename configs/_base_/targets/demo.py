# The target world of the demo with its labels, for supervised training on it, and VLD's model with a small tower.
_base_ = ['../datasets/synthetic_hitsz.py', '../models/stp_tiny.py']

direction = 'demo'
train_dataloader = dict(
    sampler=dict(_delete_=True, type='IdentitySampler', num_identities=8, num_tracklets=2, iterations=100),
    dataset=dict(labelled=True),
)
