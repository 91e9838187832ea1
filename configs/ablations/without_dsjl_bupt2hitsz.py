# Table 3, without DSJL (Table 4, neither): the identity losses alone; DSLU is on.
_base_ = '../dsc/dsc_bupt2hitsz.py'

model = dict(neighbor_losses=[])
