# PGM (Wu and Ye, CVPR 2023), second stage: clusters matched progressively, alternate cross contrastive learning.
_base_ = './bclu_hitsz2bupt.py'

# stage 1 is B+Clu; its last checkpoint, where the released code takes the best on the test set
source = dict(config='bclu_hitsz2bupt.py', checkpoint=None)

model = dict(
    # weight and alternation of the released code
    cross_loss=dict(type='CrossClusterLoss', weight=0.25, alternate=True),
    # 0.2: default of the released code, which its scripts leave alone; hard: its second stage on SYSU-MM01
    memories=dict(cluster=dict(momentum=0.2, hard=True)),
)
default_hooks = dict(
    cluster=dict(
        labelers=[
            dict(
                type='MatchingLabeler',
                clustering=dict(type='ClusterLabeler'),
                # until every cluster has a partner ("progressive"); the released code stops after 2
                passes=None,
            )
        ],
    ),
)
