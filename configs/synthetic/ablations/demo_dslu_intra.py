# Table 5, intra-modal correction only: visible tracklets keep their own clusters, corrected by their neighbors.
_base_ = '../demo_dsc.py'

source = dict(config='../demo_source.py')
default_hooks = dict(
    cluster=dict(
        labelers=[
            *_base_.default_hooks.cluster.labelers[:-1],
            dict(_base_.default_hooks.cluster.labelers[-1], inter=None),
        ],
    ),
)
