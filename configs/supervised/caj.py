# CAJ (Ye et al., ICCV 2021): AGW's network, each visible tracklet also with exchanged channels, squared triplet.
_base_ = './agw.py'

model = dict(
    data_preprocessor=dict(
        # one choice of channels per tracklet, not per frame
        augmentation=dict(visible_views=('plain', 'channel_exchange'), infrared_views=('channel_grey',))
    ),
    losses=dict(triplet=dict(squared=True)),
)
if not _base_._demo:
    train_cfg = dict(max_epochs=100, val_interval=10)
