# NG, read as label calibration by neighbours (Teng et al., arXiv:2412.12220), second stage: the comparison tables do
# not say which neighbour-guided method they mean; the other reading is ng_transport_bupt2hitsz.py.
_base_ = './bclu_bupt2hitsz.py'

# stage 1 is B+Clu; its last checkpoint, where the released code takes the best on the test set
source = dict(config='bclu_bupt2hitsz.py', checkpoint=None)

model = dict(
    # weight of the authors' readme (defaults of their code differ), alternation of their code
    cross_loss=dict(type='CrossClusterLoss', weight=3.0, alternate=True),
    # default of the released code, which its scripts leave alone
    memories=dict(cluster=dict(momentum=0.2)),
)
default_hooks = dict(
    cluster=dict(
        labelers=[
            dict(
                type='NeighborSoftLabeler',
                clustering=dict(type='ClusterLabeler'),
                # RegDB's, which has 10 images per identity and modality as HITSZ-VCM has tracklets; SYSU-MM01: 30
                topk=20,
                # two mean cluster sizes at most, else targets go flat and weights vanish; published: no limit (None)
                max_cluster_ratio=2.0,
                # both of the released code
                balance=0.7,
                sharpness=10.0,
            )
        ],
    ),
)
