# Table 3, without DSLU (Table 5, neither): each modality keeps its own clusters; DSJL stays on.
_base_ = '../dsc/dsc_{{$DSCREID_DIRECTION:bupt2hitsz}}.py'

default_hooks = dict(cluster=dict(labelers=[_base_.default_hooks.cluster.labelers[0]]))
