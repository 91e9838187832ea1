# RegDB: test set of one trial and both directions.
_base_ = './pictures.py'

data_root = '{{$DSCREID_REGDB:data/regdb}}'
trial = 1  # published figures are means over models of the trials 1 to 10: --cfg-options trial=2 ...
test_dataloader = dict(dataset=dict(type='RegDB'))
val_dataloader = test_dataloader
test_evaluator = dict(type='ReIDMetric', protocol='regdb')
val_evaluator = test_evaluator
