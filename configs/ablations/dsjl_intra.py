# Table 4, intra-modal only: DSJL uses only neighbors of the same modality.
_base_ = '../dsc/dsc_{{$DSCREID_DIRECTION:bupt2hitsz}}.py'

model = dict(neighbor_losses=[_base_.model.neighbor_losses[0]])
