# DSC with strict votes first and looser ones later (no published method): half of the K votes when unification begins,
# the paper's single vote 20 epochs later.
_base_ = './dsc_hitsz2bupt.py'

default_hooks = dict(
    cluster=dict(
        labelers=[
            *_base_.default_hooks.cluster.labelers[:-1],
            dict(
                _base_.default_hooks.cluster.labelers[-1],
                agreement=dict(start=0.5, end=0.05, begin=8, epochs=20),
            ),
        ],
    ),
)
