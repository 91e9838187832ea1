# RECONSTRUCTION of NG, read as dual optimal transport label assignment (Cheng et al., ACM MM 2023), from summaries: the
# numbers marked "guess" are nobody's, and its consistency loss among cross-modality neighbours is left out.
_base_ = './bclu_bupt2hitsz.py'

# guess: stage 1 is that of ADCA, here B+Clu, and its last checkpoint
source = dict(config='bclu_bupt2hitsz.py', checkpoint=None)

model = dict(
    # guess, after PGM
    cross_loss=dict(type='CrossClusterLoss', weight=0.25, alternate=True),
)
default_hooks = dict(
    cluster=dict(
        labelers=[
            dict(
                type='TransportLabeler',
                clustering=dict(type='ClusterLabeler'),
                # a later release of the same group; 'empirical' suits clusters of different sizes better
                marginals='uniform',
                # that release's
                sharpness=25.0,
                # guess: neighbours that refine a label, two mean cluster sizes at most, and its own share
                topk=20,
                max_cluster_ratio=2.0,
                balance=0.5,
            )
        ],
    ),
)
