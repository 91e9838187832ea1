import pytest

from dscreid.apis.config_check import check_config
from dscreid.errors import ConfigError


@pytest.mark.parametrize(
    ('config', 'message'),
    [
        (
            dict(model=dict(type='SourceReId')),
            r"^config\.model: type 'SourceReId'.*did you mean 'SourceReID'",
        ),
        (dict(hooks=[dict(type='Nonsense')]), r"^config\.hooks\.0: type 'Nonsense' is not registered$"),
        (
            dict(a=dict(type='ClusterLabeler', esp=1)),
            r"no argument 'esp'; did you mean 'eps'\? \(it takes k1, k2",
        ),
        (
            dict(a=(dict(type='MemoryUpdateHook', x=1),)),
            r"config\.a\.0: MemoryUpdateHook has no argument 'x'",
        ),
        # keywords that HITSZVCM hands on to its base class
        (dict(a=dict(type='HITSZVCM', min_sequence_len=3)), "did you mean 'min_seq_len'"),
        (dict(a=dict(type='HITSZVCM', label=True)), "did you mean 'labelled'"),
        (dict(a=dict(type='BUPTCampus', expected_statistic=None)), "did you mean 'expected_statistics'"),
        (dict(model=dict(type=3)), r'^config\.model: type must be the name of a class, got 3$'),
        (dict(custom_hooks=[dict(type=None)]), r'^config\.custom_hooks\.0: type must be the name'),
        (dict(a=dict(type='dscreid.Missing')), "type 'dscreid.Missing' is not registered"),
    ],
)
def test_misspelt_types_and_keys(config, message):
    with pytest.raises(ConfigError, match=message):
        check_config(config)


@pytest.mark.parametrize(
    'config',
    [
        dict(a=dict(type='ClusterLabeler', eps=0.5, begin_epoch=3)),
        dict(a=dict(type='HITSZVCM', foreign_frames='drop', labelled=False, pipeline=[])),
        dict(a=dict(type='MemoryUpdateHook', priority='LOW')),
        dict(optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=1))),
        dict(a=dict(type='somebodys.module.Thing', whatever=1)),
        dict(a=dict(type=3), b=[1, 'x', None]),
        dict(num_frames=6, clustering=dict(k1=3), learning_rate=1, val_dataloader=None, eval_pipeline=[]),
    ],
)
def test_valid_configs(config):
    check_config(config)
