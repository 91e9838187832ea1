# The unsupervised methods on SYSU-MM01, without labels.
_base_ = ['../datasets/sysu_mm01_target.py', '../methods/images.py']

direction = 'sysu_mm01'
# --k1 30 --k2 6, the defaults of the scripts; eps and min_samples are written into the training scripts for SYSU-MM01
clustering = dict(k1=30, k2=6, eps=0.6, min_samples=4)
# RandomMultipleGallerySampler: positives from other cameras, if the cluster has any
train_dataloader = dict(sampler=dict(other_cameras=True))
default_hooks = dict(test_selected=dict(metric='ir2rgb/mAP'))
