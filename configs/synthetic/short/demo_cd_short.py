# CD of the short demo.
_base_ = '../demo_cd.py'

source = dict(config='demo_source_short.py')
