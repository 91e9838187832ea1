# SYSU-MM01: test set and the protocol of published tables; others: sysu_mm01_indoor_single, sysu_mm01_all_multi, ...
_base_ = './pictures.py'

data_root = '{{$DSCREID_SYSU_MM01:data/sysu_mm01}}'
test_dataloader = dict(dataset=dict(type='SYSUMM01'))
val_dataloader = test_dataloader
test_evaluator = dict(type='ReIDMetric', protocol='sysu_mm01_all_single')
val_evaluator = test_evaluator
