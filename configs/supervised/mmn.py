# MMN (Zhang et al., ACM MM 2021): a middle image of each frame as a second version, stripes of the body.
_base_ = '../_base_/methods/supervised.py'

model = dict(
    backbone=dict(type='MiddleModalityResNet', stripes=4),
    heads=dict(
        static=dict(type='StripeHead', stripes=4),
        # As in the release, whose optimizer misses it, the projection keeps its random weights; trained=True lets it
        # learn.
        middle=dict(type='ProjectionHead', part='middle', width=64, trained=False),
    ),
    losses=dict(
        triplet=dict(over_version_pairs=True),
        middle=dict(type='ModalityDistanceLoss', part='middle_head', weight=0.2),
    ),
)
if not _base_._demo:
    frame_size = (384, 192)
    train_dataloader = dict(sampler=dict(num_identities=4))
