# B+Clu with the cross-modality labels of HIL (Shi et al., arXiv:2509.11587) for visible tracklets. The rest of HIL is
# not implemented.
_base_ = './bclu.py'

# A single run from the source model. First each modality is clustered separately, as long as in DSC.
_begin = dict(bupt2hitsz=8, hitsz2bupt=8, demo=1, demo_few=1)[_base_.direction.removesuffix('_short')]
default_hooks = dict(
    cluster=dict(
        labelers=[
            dict(type='ClusterLabeler', begin_epoch=0),
            dict(
                type='NearestCenterLabeler',
                begin_epoch=_begin,
                clustering=dict(type='ClusterLabeler'),
                ratio=0.5,  # published
            ),
        ],
    ),
)
