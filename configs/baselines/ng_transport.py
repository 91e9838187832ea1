# RECONSTRUCTION of NG, interpreted as dual optimal transport label assignment (Cheng et al., ACM MM 2023), from
# summaries. Numbers marked "guess" have no source. The consistency loss among cross-modality neighbors is left out.
_base_ = './bclu.py'

# guess: stage 1 as in ADCA, here B+Clu, and its last checkpoint
source = dict(config='bclu.py', checkpoint=None)

model = dict(
    # guess, based on PGM
    cross_loss=dict(type='CrossClusterLoss', weight=0.25, alternate=True),
)
default_hooks = dict(
    cluster=dict(
        labelers=[
            dict(
                type='TransportLabeler',
                clustering=dict(type='ClusterLabeler'),
                # from a later release of the same group; 'empirical' suits clusters of different sizes better
                marginals='uniform',
                # from the same release
                sharpness=25.0,
                # guess: neighbors that refine a label, at most twice the mean cluster size, and the share of the
                # label itself
                topk=dict(bupt2hitsz=20, hitsz2bupt=5, demo=12, demo_few=5)[_base_.direction.removesuffix('_short')],
                max_cluster_ratio=2.0,
                balance=0.5,
            )
        ],
    ),
)
