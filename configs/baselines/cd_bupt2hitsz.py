# CD: the source model on the target without adaptation, with VLD's ranking (plain inner product of the raw halves).
_base_ = [
    '../_base_/datasets/hitsz_vcm.py',
    '../_base_/models/stp_vit_b16.py',
    '../_base_/default_runtime.py',
]

source = dict(config='../source/stp_bupt.py', checkpoint=None)
model = dict(retrieval='raw')
test_cfg = dict(type='TestLoop')
# nothing is trained
val_dataloader = None
val_evaluator = None
