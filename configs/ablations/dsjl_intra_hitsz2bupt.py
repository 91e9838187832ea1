# Table 4, intra-modal only: neighbours of the own modality, none of the other.
_base_ = '../dsc/dsc_hitsz2bupt.py'

model = dict(neighbor_losses=[_base_.model.neighbor_losses[0]])
