# Stage 1 of the short demo: half the demo's iterations.
_base_ = '../demo_source.py'

train_dataloader = dict(sampler=dict(iterations=50))
param_scheduler = [
    _base_.param_scheduler[0],
    dict(_base_.param_scheduler[1], end=200),
]
