# DSC with strict votes first and looser votes later (not a published method). When unification begins, half of the K
# votes must agree; 20 epochs later, a single vote is enough, as in the paper.
_base_ = './dsc_{{$DSCREID_DIRECTION:bupt2hitsz}}.py'

_cluster, _unify = _base_.default_hooks.cluster.labelers
_paper = dict(agreement=dict(start=0.5, end=0.05, begin=8, epochs=20))
# 6 of the 10 votes in the first epoch of unification, 2 in the last; instead of min_votes
_demo = dict(inter=dict(topk=10), agreement=dict(start=6, end=2, begin=1, epochs=2))
# the same shares of the votes that three tracklets can give
_few = dict(inter=dict(topk=5), agreement=dict(start=3, end=1, begin=1, epochs=2))
_numbers = dict(bupt2hitsz=_paper, hitsz2bupt=_paper, demo=_demo, demo_few=_few)[
    _base_.direction.removesuffix('_short')
]
default_hooks = dict(cluster=dict(labelers=[_cluster, dict(_unify, **_numbers)]))
