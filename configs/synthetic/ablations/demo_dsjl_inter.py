# Table 4, inter-modal only: neighbours of the other modality, none of the own.
_base_ = '../demo_dsc.py'

source = dict(config='../demo_source.py')
model = dict(neighbor_losses=[_base_.model.neighbor_losses[1]])
