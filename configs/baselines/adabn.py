# AdaBN: CD with the statistics of its necks re-estimated on the unlabeled target. Every adaptation does this before its
# first epoch, so what it gains belongs to none of them. Nothing is trained.
_base_ = './cd.py'

model = dict(retrieval='neck')
default_hooks = dict(neck_statistics=dict(type='NeckStatisticsHook', dataset=_base_._unlabeled))
