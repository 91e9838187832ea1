# DSC from BUPTCampus (labeled source) to HITSZ-VCM (unlabeled target), with the settings of the paper.
_base_ = ['../_base_/methods/dsc.py', '../_base_/datasets/hitsz_vcm_target.py']

direction = 'bupt2hitsz'
# Stage 1. checkpoint=None uses the finished source run next to this run's work directory, or trains it first.
source = dict(config='../source/stp_bupt.py', checkpoint=None)
