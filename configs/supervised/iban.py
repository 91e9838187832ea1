# IBAN (Li et al., TCSVT 2023): each frame also as a relief, in which the modalities look alike; frames weighted in both
# directions of time.
_base_ = '../_base_/methods/supervised.py'

# published: from epoch 40 of 201
_late = 1 if _base_._demo else 40
# The loss is a sum over pairs of 16 rows, divided by 2,048 features; the other losses are means over rows. For the
# demo's 32 rows and 512 features, a sixteenth keeps the balance.
_easy = dict(type='EasyPositiveLoss', weight=1 / 16 if _base_._demo else 1.0)
model = dict(
    backbone=dict(
        type='AnaglyphResNet',
        gem_power=1.0,
        mean=_base_._normalization.mean,
        std=_base_._normalization.std,
    ),
    heads=dict(
        static=dict(type='SharedIdentityHead'),
        translated3=dict(type='TranslationHead', part='anaglyph_layer3', kernel_size=3),
        translated4=dict(type='TranslationHead', part='anaglyph_layer4', kernel_size=1),
    ),
    losses=dict(
        id=dict(groups=(0, 1)),
        # As published, all rows are pulled, not only those of the anchor's identity: positives_only=True changes that.
        easy=dict(_easy, part='static'),
        triplet_anaglyph=dict(type='BatchHardTripletLoss', part='dynamic', margin=0.3),
        id_anaglyph=dict(type='IdentityLoss', part='static_head', groups=(1, 2), begin=_late),
        easy_anaglyph=dict(_easy, part='dynamic', begin=_late),
        translation3=dict(type='TranslationLoss', part='translated3_head', target='anaglyph_layer3', begin=_late),
        translation4=dict(type='TranslationLoss', part='translated4_head', target='anaglyph_layer4', begin=_late),
    ),
)
if not _base_._demo:
    train_dataloader = dict(sampler=dict(num_identities=4, num_tracklets=2))
    param_scheduler = [_base_.param_scheduler[0], dict(_base_.param_scheduler[1], milestones=[35, 80])]
    train_cfg = dict(max_epochs=201, val_interval=20)
