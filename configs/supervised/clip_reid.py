# CLIP-ReID (Li et al., AAAI 2023): CLIP's image tower, trained against text features of prompts that are learned for
# each person before the first epoch. Values are those of the released configs/person/vit_clipreid.yml.
_base_ = '../_base_/methods/supervised.py'

_demo = _base_._demo
# Rendered worlds: a tower without a projection, and a text encoder of random weights. What it says about words has no
# meaning, but the learned prompts still become one vector per person.
_demo_text = dict(type='CLIPTextTransformer', width=64, layers=2, activation='gelu')
_published_text = dict(type='CLIPTextTransformer', pretrained='{{$DSCREID_CLIP_VIT_B16:weights/ViT-B-16.pt}}')
# 0.25 for each of both, 1 for that of the text; all with label smoothing
_entropy = dict(type='IdentityLoss', label_smoothing=0.1)
model = dict(
    # Before the necks (NECK_FEAT 'before'), L2-normalized together. In the demo, with its few iterations, the
    # gain shows only after the necks.
    ranking='neck_static' if _demo else 'raw_static',
    data_preprocessor=dict(augmentation=dict(erase=dict(probability=0.5))),
    backbone=dict(
        _delete_=True,
        type='ProjectedCLIP',
        tower=_base_._tower,
        joint_width=64 if _demo else 512,
        pretrained_projection=not _demo,
    ),
    heads=dict(
        _delete_=True,
        last=dict(type='IdentityHead', part='neck_last'),
        projected=dict(type='IdentityHead', part='neck_projected'),
        memory=dict(
            type='TextMemoryHead',
            part='projected',
            text='A photo of a X X X X person.',
            encoder=_demo_text if _demo else _published_text,
            learning=dict(
                epochs=20 if _demo else 120,
                batch_size=64,
                lr=3.5e-4,
                weight_decay=1e-4,
                warmup_epochs=5,
                warmup_lr=1e-5,
                min_lr=1e-6,
                temperature=1.0,
            ),
        ),
    ),
    losses=dict(
        _delete_=True,
        id_last=dict(_entropy, part='last_head', weight=0.25),
        id_projected=dict(_entropy, part='projected_head', weight=0.25),
        triplet_before_last=dict(type='BatchHardTripletLoss', part='before_last', margin=0.3),
        triplet_last=dict(type='BatchHardTripletLoss', part='last', margin=0.3),
        triplet_projected=dict(type='BatchHardTripletLoss', part='projected', margin=0.3),
        memory=dict(_entropy, part='memory_head'),
    ),
)
default_hooks = dict(memory=dict(type='IdentityMemoryHook'))
if _demo:
    # as VLD's row
    optim_wrapper = dict(
        optimizer=dict(_delete_=True, type='AdamW', lr=3e-4, weight_decay=0.01),
        paramwise_cfg=dict(_delete_=True, custom_keys={'_head': dict(lr_mult=25.0)}),
        clip_grad=dict(max_norm=5.0),
    )
else:
    frame_size = (256, 128)
    model['data_preprocessor'].update(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    # 64 = 16 people x 4, two of each modality
    train_dataloader = dict(sampler=dict(num_identities=16, num_tracklets=2))
    # BIAS_LR_FACTOR 2
    optim_wrapper = dict(
        optimizer=dict(_delete_=True, type='Adam', lr=5e-6, weight_decay=1e-4),
        paramwise_cfg=dict(_delete_=True, custom_keys={'bias': dict(lr_mult=2.0)}),
    )
    param_scheduler = [_base_.param_scheduler[0], dict(_base_.param_scheduler[1], milestones=[30, 50])]
    train_cfg = dict(max_epochs=60, val_interval=10)
