# Upper bound with true labels of the short demo: 320 iterations instead of 400.
_base_ = '../demo_true_labels.py'

source = dict(config='demo_source_short.py')
train_dataloader = dict(sampler=dict(iterations=80))
