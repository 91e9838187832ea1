# What the demo's adaptation would gain from the target's true identities: an upper bound, no method.
_base_ = './demo_dsc.py'

model = dict(neighbor_losses=[])
default_hooks = dict(
    cluster=dict(labelers=[dict(type='TrueLabels', dataset=_base_.extraction_dataloader.dataset)]),
)
