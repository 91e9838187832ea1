# B+Clu after B+Clu on the demo's target: what twice the training alone brings.
_base_ = './demo_bclu.py'

source = dict(config='demo_bclu.py', checkpoint=None)
