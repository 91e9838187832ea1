# Table 4, inter-modal only: DSJL uses only neighbors of the other modality.
_base_ = '../dsc/dsc_{{$DSCREID_DIRECTION:bupt2hitsz}}.py'

model = dict(neighbor_losses=[_base_.model.neighbor_losses[1]])
