# Length and shape of VLD's schedule, with the optimizer of the ResNet-50 methods (Adam 3.5e-4, weight decay 5e-4).
# None of these methods trains on a labeled source, and VLD's rate of 2.5e-5 is meant for CLIP's tower.
_base_ = './source_24e.py'

optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    optimizer=dict(type='Adam', lr=3.5e-4, weight_decay=5e-4),
)
