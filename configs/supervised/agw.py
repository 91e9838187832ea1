# AGW (Ye et al., TPAMI 2021): non-local blocks, GeM, weighted regularization triplet.
_base_ = '../_base_/methods/supervised.py'

model = dict(
    data_preprocessor=dict(augmentation=dict(erase=dict(probability=0.5, fill=(0.0, 0.0, 0.0)))),
    backbone=dict(non_local=True),
    losses=dict(triplet=dict(_delete_=True, type='WeightedTripletLoss', part='static')),
)
