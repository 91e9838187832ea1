# LLCM: test set and both directions.
_base_ = './pictures.py'

data_root = '{{$DSCREID_LLCM:data/llcm}}'
test_dataloader = dict(dataset=dict(type='LLCM'))
val_dataloader = test_dataloader
test_evaluator = dict(type='ReIDMetric', protocol='llcm')
val_evaluator = test_evaluator
