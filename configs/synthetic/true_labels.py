# Adaptation with the true identities of the target: an upper bound, not a method.
_base_ = '../dsc/dsc_{{$DSCREID_DIRECTION:demo}}.py'

model = dict(neighbor_losses=[])
default_hooks = dict(
    cluster=dict(labelers=[dict(type='TrueLabels', dataset=_base_.train_dataloader.dataset)]),
)
