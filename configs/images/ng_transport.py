# RECONSTRUCTION of NG, read as dual optimal transport label assignment (DOTLA; Cheng et al., ACM MM 2023), from
# summaries: no code of that paper is public. Numbers marked "guess" have no source, so figures of this config cannot be
# held against published ones.
_base_ = '../_base_/images/{{$DSCREID_DIRECTION:sysu_mm01}}.py'

# guess: the first stage of ADCA
source = dict(config='adca_first.py', checkpoint=None)

# guess, based on PGM: weight 0.25, alternating
model = dict(cross_loss=dict(type='CrossClusterLoss', weight=0.125, alternate=True), memories=dict(cross_update=True))
_labeler = dict(
    type='TransportLabeler',
    clustering=dict(type='ClusterLabeler'),
    # cross_association.py of a later release of the same group (MULT)
    marginals='uniform',
    sharpness=25.0,
    tolerance=0.1,
    max_steps=500,
    # guess
    topk=20,
    max_cluster_ratio=None,
    balance=0.5,
)
default_hooks = dict(cluster=dict(labelers=[_labeler]))
