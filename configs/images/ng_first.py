# NG, read as label calibration by neighbors (N-ULC; Teng et al., arXiv:2412.12220), first stage: that of PGM without
# non-local blocks (train_sysu.py and train_regdb.py, --stage s1).
_base_ = '../_base_/images/{{$DSCREID_DIRECTION:sysu_mm01}}.py'

model = dict(
    # ColorJitter(0.5, 0.5, 0.5, 0.5) on the second visible view
    data_preprocessor=dict(augmentation=dict(color_jitter=dict(visible=(1,)))),
    # default of --momentum, which the readme's commands do not set
    memories=dict(cluster=dict(momentum=0.2)),
)
# readme: --eps 0.6 for SYSU-MM01 and --eps 0.2 for RegDB
clustering = dict(eps=dict(sysu_mm01=0.6, regdb=0.2)[_base_.direction])
