# Table 4, inter-modal only: neighbours of the other modality, none of the own.
_base_ = '../dsc/dsc_hitsz2bupt.py'

model = dict(neighbor_losses=[_base_.model.neighbor_losses[1]])
