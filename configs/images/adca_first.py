# ADCA (Yang et al., ACM MM 2022), first stage: dual contrastive learning from ImageNet weights (adca_sysu_train.py and
# adca_regdb_train.py, stage "DCL").
_base_ = '../_base_/images/{{$DSCREID_DIRECTION:sysu_mm01}}.py'
