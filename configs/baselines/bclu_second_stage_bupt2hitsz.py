# B+Clu after B+Clu: what twice the training alone brings, beside the second stages of ADCA, PGM and NG.
_base_ = './bclu_bupt2hitsz.py'

source = dict(config='bclu_bupt2hitsz.py', checkpoint=None)
