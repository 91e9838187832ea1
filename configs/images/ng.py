# NG, read as label calibration by neighbors (N-ULC; Teng et al., arXiv:2412.12220), second stage (train_sysu.py and
# train_regdb.py, --stage s2). For the other reading see ng_transport.py.
_base_ = './ng_first.py'

# the last epoch of the first stage; released code: the one that is best on the test set (see adca.py)
source = dict(config='ng_first.py', checkpoint=None)

model = dict(
    # readme: --lambda1 3.0; alternates by epoch as PGM does (trainers.py)
    cross_loss=dict(type='CrossClusterLoss', weight=1.5, alternate=True),
    memories=dict(cross_update=True),
)
_labeler = dict(
    type='NeighborSoftLabeler',
    clustering=dict(type='ClusterLabeler'),
    # readme: --neighbour 30 and 20, --balance 0.7, --coe 10.0
    topk=dict(sysu_mm01=30, regdb=20)[_base_.direction],
    max_cluster_ratio=None,
    balance=0.7,
    sharpness=10.0,
    # train_sysu.py stops after 3 assignments, train_regdb.py after 2
    passes=dict(sysu_mm01=3, regdb=2)[_base_.direction],
)
default_hooks = dict(cluster=dict(labelers=[_labeler]))
