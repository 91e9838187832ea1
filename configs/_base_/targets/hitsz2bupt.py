# BUPTCampus with its labels, for supervised training on the target, and VLD's model.
_base_ = ['../datasets/bupt_campus_source.py', '../models/stp_vit_b16.py']

direction = 'hitsz2bupt'
