# Table 4, intra-modal only: DSJL uses only neighbors of the same modality.
_base_ = '../demo_dsc.py'

source = dict(config='../demo_source.py')
model = dict(neighbor_losses=[_base_.model.neighbor_losses[0]])
