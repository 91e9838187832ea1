# DDAG (Ye et al., ECCV 2020): attention between parts of the body, graph attention over the batch.
_base_ = '../_base_/methods/supervised.py'

model = dict(
    # the half with part attention; metrics.json has the others too
    ranking='neck_dynamic',
    backbone=dict(type='PartAttentionResNet', gem_power=1.0, parts=3),
    heads=dict(
        dynamic=dict(type='IdentityHead', part='neck_dynamic'),
        graph=dict(type='GraphHead', part='neck_static', width=512, num_heads=4, dropout=0.2),
    ),
    losses=dict(
        id_dynamic=dict(type='IdentityLoss', part='dynamic_head'),
        # As published, its weight is 1 / (1 + mean of the losses above in the previous epoch), so it depends on their
        # scale; growing=False keeps it at 1. Their code never updates the graph (its optimizer is not stepped); here it
        # learns with the rest.
        graph=dict(type='GrowingIdentityLoss', part='graph_head'),
    ),
)
