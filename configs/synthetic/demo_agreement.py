# DSC with strict votes first and looser ones later: 6 of the 10 votes in the first epoch of unification, 2 in the last.
_base_ = './demo_dsc.py'

default_hooks = dict(
    cluster=dict(
        labelers=[
            _base_.default_hooks.cluster.labelers[0],
            dict(
                _base_.default_hooks.cluster.labelers[1],
                # in the place of min_votes
                inter=dict(topk=10),
                agreement=dict(start=6, end=2, begin=1, epochs=2),
            ),
        ],
    ),
)
