# DSC of the short demo: 320 iterations instead of 400.
_base_ = './dsc_demo.py'

direction = 'demo_short'
source = dict(config='../source/stp_demo_short.py')
train_dataloader = dict(sampler=dict(iterations=80))
