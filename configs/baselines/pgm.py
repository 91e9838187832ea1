# PGM (Wu and Ye, CVPR 2023), second stage: progressive matching of clusters, alternate cross contrastive learning.
_base_ = './bclu.py'

# Stage 1 is B+Clu. Its last checkpoint is used; the released code uses the one that is best on the test set.
source = dict(config='bclu.py', checkpoint=None)

model = dict(
    # weight and alternation from the released code
    cross_loss=dict(type='CrossClusterLoss', weight=0.25, alternate=True),
    # 0.2 is the default of the released code, which its scripts do not change; hard as in its second stage on SYSU-MM01
    memories=dict(cluster=dict(momentum=0.2, hard=True)),
)
default_hooks = dict(
    cluster=dict(
        labelers=[
            dict(
                type='MatchingLabeler',
                clustering=dict(type='ClusterLabeler'),
                # None: until every cluster has a partner ("progressive"); the released code stops after 2 passes
                passes=None,
            )
        ],
    ),
)
