# HITSZ-VCM with its labels, for supervised training on the target, and VLD's model.
_base_ = ['../datasets/hitsz_vcm_source.py', '../models/stp_vit_b16.py']

direction = 'bupt2hitsz'
