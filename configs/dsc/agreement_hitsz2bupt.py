# DSC with strict votes first and looser votes later (not a published method). When unification begins, half of the K
# votes must agree; 20 epochs later, a single vote is enough, as in the paper.
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
