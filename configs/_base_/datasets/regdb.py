# RegDB: test set of trial 1 and both directions. The published figures are means over the ten trials (dataset.trial).
_base_ = './pictures.py'

data_root = '{{$DSCREID_REGDB:data/regdb}}'
test_dataloader = dict(dataset=dict(type='RegDB'))
val_dataloader = test_dataloader
test_evaluator = dict(type='ReIDMetric', protocol='regdb')
val_evaluator = test_evaluator
