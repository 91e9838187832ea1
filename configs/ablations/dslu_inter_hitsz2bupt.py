# Table 5, inter-modal unification only: visible tracklets keep the labels chosen by the votes, without correction.
_base_ = '../dsc/dsc_hitsz2bupt.py'

default_hooks = dict(
    cluster=dict(
        labelers=[
            *_base_.default_hooks.cluster.labelers[:-1],
            dict(_base_.default_hooks.cluster.labelers[-1], intra=None),
        ],
    ),
)
