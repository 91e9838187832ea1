# Table 3, without DSJL (Table 4, neither): only the identity losses; DSLU stays on.
_base_ = '../dsc/dsc_{{$DSCREID_DIRECTION:bupt2hitsz}}.py'

model = dict(neighbor_losses=[])
