# DSC with strict votes first and looser votes later: 6 of the 10 votes must agree in the first epoch of unification, 2
# in the last.
_base_ = './demo_dsc.py'

default_hooks = dict(
    cluster=dict(
        labelers=[
            _base_.default_hooks.cluster.labelers[0],
            dict(
                _base_.default_hooks.cluster.labelers[1],
                # without min_votes, which agreement replaces
                inter=dict(topk=10),
                agreement=dict(start=6, end=2, begin=1, epochs=2),
            ),
        ],
    ),
)
