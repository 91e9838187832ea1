# Table 3, without DSJL (Table 4, neither): only the identity losses; DSLU stays on.
_base_ = '../demo_dsc.py'

source = dict(config='../demo_source.py')
model = dict(neighbor_losses=[])
