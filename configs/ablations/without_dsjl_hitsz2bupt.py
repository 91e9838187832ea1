# Table 3, without DSJL (Table 4, neither): only the identity losses; DSLU stays on.
_base_ = '../dsc/dsc_hitsz2bupt.py'

model = dict(neighbor_losses=[])
