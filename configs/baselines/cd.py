# CD: the source model on the target without adaptation.
_base_ = '../dsc/dsc_{{$DSCREID_DIRECTION:bupt2hitsz}}.py'

# in the paper's directions with VLD's ranking (plain inner product of the raw halves)
_demos = dict.fromkeys(['demo', 'demo_short', 'demo_few', 'demo_efficientnet'], 'neck')
_retrieval = dict(_demos, bupt2hitsz='raw', hitsz2bupt='raw')[_base_.direction]
model = dict(_base_._source_model, _delete_=True, retrieval=_retrieval)
# for AdaBN
_unlabeled = _base_.train_dataloader.dataset
# nothing is trained
train_dataloader = train_cfg = optim_wrapper = param_scheduler = None
val_dataloader = val_evaluator = val_cfg = None
default_hooks = dict(cluster=None, memory=None, selection=None)
