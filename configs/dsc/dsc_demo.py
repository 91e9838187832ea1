# DSC from one rendered world to another: the method of dsc_bupt2hitsz.py with a small tower and a short schedule.
_base_ = ['../_base_/methods/dsc_demo.py', '../_base_/datasets/synthetic_hitsz.py']

direction = 'demo'
source = dict(config='../source/stp_demo.py', checkpoint=None)
