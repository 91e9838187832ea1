# Tracklets from cameras of your own (TrackletFolder), loaded as HITSZ-VCM. Persons are optional; without them, nothing
# is evaluated.
_base_ = './hitsz_vcm.py'

data_root = '{{$DSCREID_TRACKLETS:data/mine}}'
test_dataloader = dict(dataset=dict(type='TrackletFolder'))
val_dataloader = test_dataloader
# other protocols: other_cameras, all_to_all
test_evaluator = dict(protocol='cross_modal')
val_evaluator = test_evaluator
