# Adaptation of the demo with the true identities of the target: an upper bound, not a method.
_base_ = './demo_dsc.py'

model = dict(neighbor_losses=[])
default_hooks = dict(
    cluster=dict(labelers=[dict(type='TrueLabels', dataset=_base_.train_dataloader.dataset)]),
)
