# As demo.py, with a quarter of its iterations.
_base_ = './demo.py'

direction = 'demo_short'
train_dataloader = dict(sampler=dict(iterations=25))
