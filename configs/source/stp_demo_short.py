# Stage 1 of the short demo: 100 iterations instead of 400.
_base_ = './stp_demo.py'

train_dataloader = dict(sampler=dict(iterations=25))
