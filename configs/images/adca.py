# ADCA (Yang et al., ACM MM 2022), second stage: cross-modality aggregation (adca_sysu_train.py, adca_regdb_train.py,
# stage "CMA").
_base_ = '../_base_/images/{{$DSCREID_DIRECTION:sysu_mm01}}.py'

# From the last epoch of the first stage. The released code takes the one that is best on the test set; to repeat that:
# --source-checkpoint work_dirs/adca_first_sysu_mm01/test_selected.pth
source = dict(config='adca_first.py', checkpoint=None)

# the visible center becomes 0.1 visible + 0.9 infrared and is not normalized again; the infrared one does not change
model = dict(memories=dict(aggregation=dict(momentum=0.1, both_ways=False, normalize=False)))
# threshold from the training scripts
_labeler = dict(type='AggregationLabeler', clustering=dict(type='ClusterLabeler'), threshold=0.5)
default_hooks = dict(cluster=dict(labelers=[_labeler]))
