# B+Clu after B+Clu: the effect of twice the training only, for comparison with the second stages of ADCA, PGM and NG.
_base_ = './bclu.py'

source = dict(config='bclu.py', checkpoint=None)
