# The unsupervised methods on RegDB, without labels, in trial 1; --cfg-options trial=2 chooses another one, also for the
# first stage.
_base_ = ['../datasets/regdb_target.py', '../methods/images.py']

direction = 'regdb'
# --k1 30 --k2 6, the defaults of the scripts; eps and min_samples are written into the training scripts for RegDB
clustering = dict(k1=30, k2=6, eps=0.3, min_samples=4)
# the scripts choose by visible queries
default_hooks = dict(test_selected=dict(metric='rgb2ir/mAP'))
