# DSC of the short demo: 320 iterations instead of 400.
_base_ = '../demo_dsc.py'

source = dict(config='demo_source_short.py')
train_dataloader = dict(sampler=dict(iterations=80))
