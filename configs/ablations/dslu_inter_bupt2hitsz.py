# Table 5, inter-modal unification only: visible tracklets keep the label that the votes gave them.
_base_ = '../dsc/dsc_bupt2hitsz.py'

default_hooks = dict(
    cluster=dict(
        labelers=[
            *_base_.default_hooks.cluster.labelers[:-1],
            dict(_base_.default_hooks.cluster.labelers[-1], intra=None),
        ],
    ),
)
