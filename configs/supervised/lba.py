# LbA (Park et al., ICCV 2021): maps of two layers are rebuilt from the other modality and must keep their identity.
_base_ = '../_base_/methods/supervised.py'

model = dict(
    backbone=dict(kept_maps=('layer3', 'layer4')),
    heads=dict(
        align3=dict(type='AlignmentHead', part='maps_layer3', temperature=50.0),
        align4=dict(type='AlignmentHead', part='maps_layer4', temperature=50.0),
        rebuilt3=dict(type='ReconstructionHead', part='align3_head'),
        rebuilt4=dict(type='ReconstructionHead', part='align4_head'),
    ),
    losses=dict(
        id_layer3=dict(type='IdentityLoss', part='rebuilt3_head'),
        id_layer4=dict(type='IdentityLoss', part='rebuilt4_head'),
        dense_layer3=dict(type='DenseTripletLoss', maps='maps_layer3', part='align3_head', weight=0.5),
        dense_layer4=dict(type='DenseTripletLoss', maps='maps_layer4', part='align4_head', weight=0.5),
    ),
)
