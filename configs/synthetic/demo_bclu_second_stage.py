# B+Clu after B+Clu on the demo's target: the effect of twice the training only.
_base_ = './demo_bclu.py'

source = dict(config='demo_bclu.py', checkpoint=None)
