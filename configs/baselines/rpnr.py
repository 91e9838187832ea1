# RPNR (Yin et al., ACM MM 2024), second stage: labels corrected by prototypes, centers matched by optimal transport,
# two centers per cluster, a hybrid memory of matched centers, and a relaxed contrastive loss.
_base_ = './bclu.py'

# Stage 1 is B+Clu. Its last checkpoint is used; the released code uses the one that is best on the test set.
source = dict(config='bclu.py', checkpoint=None)

# weight, margin, momentum and alternation from the released code
_two_centers = dict(type='MeanHardContrastiveLoss', temperature=0.05, margin=0.2)
model = dict(
    identity_loss=_two_centers,
    # even epochs (from 0): visible features against infrared and hybrid centers; odd epochs: infrared features
    cross_loss=dict(type='CrossClusterLoss', weight=0.25, alternate=True, half_loss=_two_centers),
    hybrid_loss=dict(type='CrossClusterLoss', weight=0.5, alternate=True, half_loss=_two_centers),
    # None: the published scale, 1 for 2,048 dimensions, in proportion to the square root of the dimension. At it, pairs
    # practically only repel (see the class); about half of sqrt(2 D) would let close pairs attract (untested).
    relaxed_loss=dict(type='RelaxedContrastiveLoss', weight=10.0, scale=None),
    memories=dict(cluster=dict(type='MeanHardMemory', momentum=0.1)),
)
default_hooks = dict(
    cluster=dict(
        labelers=[
            dict(
                type='PrototypeLabeler',
                clustering=dict(type='ClusterLabeler'),
                # Published: 20 samples of some 30 to 55 images per identity and modality on SYSU-MM01. Here: the same
                # share, because a cluster of a dozen tracklets has fewer than 20 (inferred, untested).
                samples=0.5,
                # all from the released code
                threshold=0.5,
                regularization=5.0,
                tolerance=1e-5,
                max_steps=5000,
            )
        ],
    ),
)
