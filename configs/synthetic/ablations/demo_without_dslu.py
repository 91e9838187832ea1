# Table 3, without DSLU (Table 5, neither): each modality keeps its own clusters; DSJL stays on.
_base_ = '../demo_dsc.py'

source = dict(config='../demo_source.py')
default_hooks = dict(cluster=dict(labelers=[_base_.default_hooks.cluster.labelers[0]]))
