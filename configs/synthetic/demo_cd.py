# CD on the demo's target: the source model without adaptation.
_base_ = [
    '../_base_/datasets/synthetic_hitsz.py',
    '../_base_/models/stp_tiny.py',
    '../_base_/default_runtime.py',
]

source = dict(config='demo_source.py', checkpoint=None)
test_cfg = dict(type='TestLoop')
