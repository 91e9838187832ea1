"""One key at the top level reaches every part that takes it, by inheritance and on the command line alike."""

from pathlib import Path

import pytest
from mmengine import Config

from dscreid.apis.config import config_hash, load_config
from dscreid.engine.common_settings import (
    COMMON_SETTINGS,
    fill_common_settings,
    uses_of_common_settings,
    without_common_settings,
)
from dscreid.engine.extraction import extraction_loader
from dscreid.engine.runner import ReIDRunner
from dscreid.errors import ConfigError
from dscreid.utils.shipped import split_direction

CONFIGS = Path(__file__).parents[2] / 'configs'
#: DSC and its demo, source stages, a baseline of each kind, an ablation, ResNet-50, no training at all.
NAMES = (
    'dsc/dsc_bupt2hitsz', 'dsc/dsc_hitsz2bupt', 'dsc/sdcl_schedule_bupt2hitsz', 'dsc/dsc_demo',
    'source/stp_bupt', 'source/resnet50_hitsz', 'source/stp_demo', 'baselines/bclu_bupt2hitsz',
    'baselines/adca_hitsz2bupt', 'baselines/gur_cameras_bupt2hitsz', 'baselines/ng_transport_bupt2hitsz',
    'resnet50/pgm_resnet50_hitsz2bupt', 'ablations/dslu_intra_bupt2hitsz', 'baselines/cd_bupt2hitsz',
    'resnet50/gur_resnet50_demo', 'synthetic/true_labels_demo',
)  # fmt: skip
#: Values of the settings that these configs take; ``trial`` is taken by RegDB only (tests/test_image_data_sets.py).
VALUES = {
    'data_root': '/elsewhere',
    'on_bad_frame': 'substitute',
    'num_frames': 3,
    'frame_size': (96, 48),
    'eval_pipeline': [
        dict(type='SampleFrames', rule='linspace'),
        dict(type='LoadFrames', reduce=False),
        dict(type='PackTracklet'),
    ],
    'clustering': dict(k1=9, k2=3, eps=0.4, min_samples=2),
    'vis_backends': [dict(type='LocalVisBackend')],
}


def loaders(config):
    """All loaders of a config."""
    found = [config[key] for key in ('train_dataloader', 'val_dataloader', 'test_dataloader') if config.get(key)]
    extraction = extraction_loader(config)
    return [*found, *([Config(extraction)] if extraction else [])]


def values_of(config, setting):
    """Values of a setting in the parts that have it, found without the package's own search."""
    found = []
    for loader in loaders(config):
        sample, load, _ = loader.dataset.pipeline
        found.append({
            'data_root': loader.dataset.root, 'on_bad_frame': loader.dataset.get('on_bad_frame'),
            'num_frames': sample.num_frames, 'frame_size': load.size,
        }.get(setting))  # fmt: skip
    backbone = config.model.backbone
    if backbone.type == 'SpatioTemporalPrompting':
        found.append({'num_frames': backbone.num_frames, 'frame_size': backbone.tower.image_size}.get(setting))
    if setting == 'eval_pipeline':
        given = {'num_frames', 'size'}  # other common settings
        evaluated = [loader for loader in loaders(config) if loader is not config.get('train_dataloader')]
        found = [
            [{key: step[key] for key in step if key not in given} for step in loader.dataset.pipeline]
            for loader in evaluated
        ]
    if setting == 'vis_backends':
        found = [config.visualizer.vis_backends]
    if setting == 'clustering':
        cluster = config.default_hooks.get('cluster', {})
        found = [{key: node[key] for key in VALUES['clustering']} for node in clusterers(cluster)]
    return [value for value in found if value is not None]


def parts(config):
    """A config without its common settings, which stand in its parts."""
    return {key: value for key, value in config.to_dict().items() if key not in COMMON_SETTINGS}


def clusterers(node):
    """Labelers that cluster, at any depth."""
    if isinstance(node, dict):
        if node.get('type') in ('ClusterLabeler', 'JointLabeler', 'CameraLabeler', 'ProxyAffinityLabeler'):
            yield node
        node = list(node.values())
    if isinstance(node, (list, tuple)):
        for value in node:
            yield from clusterers(value)


def test_all_settings_are_tested():
    assert {*COMMON_SETTINGS} == {*VALUES, 'trial', 'test_from'}


@pytest.mark.parametrize('setting', VALUES)
@pytest.mark.parametrize('name', NAMES)
def test_every_part_has_the_value_of_an_inheriting_config(name, setting, tmp_path):
    path, value = CONFIGS / f'{name}.py', VALUES[setting]
    base_file, direction = split_direction(path)
    (tmp_path / 'leaf.py').write_text(f'_base_ = {str(base_file)!r}\n{setting} = {value!r}\n')
    leaf = tmp_path / (f'leaf_{direction}.py' if direction else 'leaf.py')
    if setting == 'clustering' and not list(clusterers(load_config(path).default_hooks)):
        with pytest.raises(ConfigError, match=r'no part of this config takes clustering\.k1'):
            load_config(leaf)
        return
    base, config = load_config(path), load_config(leaf)
    found = values_of(config, setting)
    assert found
    assert all(each == value for each in found)
    assert load_config(path, {setting: value}).to_dict() == config.to_dict()
    assert (config_hash(config) == config_hash(base)) == (
        setting in ('data_root', 'vis_backends')
        # nothing is trained
        or (name == 'baselines/cd_bupt2hitsz' and setting == 'on_bad_frame')
        # only tests with it
        or (setting == 'eval_pipeline' and not config.default_hooks.get('cluster'))
    )


def test_parts_keep_what_they_set_themselves():
    config = dict(
        clustering=dict(k1=7, eps=0.5),
        num_frames=4,
        hook=dict(labelers=[
            dict(type='ClusterLabeler', k1=8),
            dict(cycle=(dict(type='dscreid.pseudo_labels.JointLabeler'), dict(type='Unknown'))),
            dict(type='DSLULabeler'),
        ]),
        loader=dict(dataset=dict(type='HITSZVCM', pipeline=[dict(type='SampleFrames')])),
    )  # fmt: skip
    given = without_common_settings(config)
    fill_common_settings(config)
    own, (joint, _), dslu = (
        config['hook']['labelers'][0],
        *(node.get('cycle', node.get('clustering')) for node in config['hook']['labelers'][1:]),
    )
    assert own == dict(type='ClusterLabeler', k1=8, eps=0.5)
    assert (joint['k1'], joint['eps']) == (7, 0.5)
    assert dslu == dict(type='ClusterLabeler', k1=7, eps=0.5)
    assert config['loader']['dataset'] == dict(type='HITSZVCM', pipeline=[dict(type='SampleFrames', num_frames=4)])
    again = without_common_settings(config)
    assert again['hook']['labelers'][:2] == given['hook']['labelers'][:2]
    assert again['loader'] == given['loader']
    fill_common_settings(again)
    assert again == config


def test_uses_are_named_by_their_keys():
    config = dict(num_frames=3, loader=dict(pipeline=[dict(type='LoadFrames'), dict(type='SampleFrames')]))
    assert [(use.setting, use.key) for use in uses_of_common_settings(config)] == [
        ('frame_size', 'loader.pipeline.0.size'),
        ('num_frames', 'loader.pipeline.1.num_frames'),
    ]


@pytest.mark.parametrize('name', NAMES)
def test_the_config_in_a_work_directory_is_the_config_that_was_run(name, tmp_path):
    config = load_config(CONFIGS / f'{name}.py', {'num_frames': 5})
    runner = ReIDRunner.__new__(ReIDRunner)  # only its config and folder are needed
    runner.cfg, runner._work_dir = config, str(tmp_path)
    runner.dump_config()
    saved = tmp_path / f'{Path(name).name}.py'
    assert parts(load_config(saved)) == parts(config)
    assert set(values_of(load_config(saved, {'data_root': '/new'}), 'data_root')) == {'/new'}
