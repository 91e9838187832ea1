"""The configs of configs/images: their settings, and two iterations of each on rendered pictures."""

import re
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import mmengine
import pytest
import torch
from tiny_methods import render_pictures

from dscreid.apis.build import build_runner
from dscreid.apis.config import fit_to_machine, load_config
from dscreid.apis.preflight import check_stage
from dscreid.apis.train import RunOptions, experiment_stages, prepare
from dscreid.engine.selected_on_test import read_selected
from dscreid.errors import CheckpointError, ConfigError
from dscreid.registry import MODELS
from dscreid.utils.shipped import directions_of

pytestmark = pytest.mark.usefixtures('one_thread_throughout')
IMAGES = Path(__file__).parents[1] / 'configs' / 'images'
DOCS = Path(__file__).parents[1] / 'docs'
LAYOUTS = ('sysu_mm01', 'regdb')
FILES = [file.with_name(f'{file.stem}_{name}.py') for file in sorted(IMAGES.glob('*.py')) for name in LAYOUTS]
TOWER = dict(
    type='CLIPVisionTransformer', image_size=(32, 16), patch_size=8, width=32, layers=2, heads=2, pretrained=None
)


@pytest.fixture(scope='module')
def worlds(tmp_path_factory):
    render_pictures(folder := tmp_path_factory.mktemp('worlds'), LAYOUTS, train_ids=6, test_ids=2)
    return folder


@pytest.fixture(autouse=True)
def roots(worlds, monkeypatch):
    for name in LAYOUTS:
        monkeypatch.setenv(f'DSCREID_{name.upper()}', str(worlds / name))


def tiny(path, folder, **options):
    """A config with a small encoder, clusters of single pictures or of all, and two iterations per epoch."""
    joins = 'pclhd' in path.stem and 'first' not in path.stem  # whose joint clusters must have both modalities
    size = (1, 4) if joins else (2, 2)
    config = load_config(path, {
        'frame_size': (32, 16),
        'train_dataloader.sampler.iterations': 2,
        'train_dataloader.sampler.visible': size,
        'train_dataloader.sampler.infrared': size,
        'train_dataloader.num_workers': 0,
        'test_dataloader.num_workers': 0,
        'val_dataloader.num_workers': 0,
        'default_hooks.cluster.limits': dict(min_clusters=1, max_cluster_share=1.0, max_cosine=1.0),
        **options,
    })  # fmt: skip
    if config.model.backbone.type.startswith('TwoStreamResNet'):  # whose full size tests/test_configs.py builds
        config.model.backbone = dict(type='FrameAverage', tower=TOWER)
    else:
        config.model.backbone.update(patch_size=8, width=32, layers=2, heads=2, pretrained=None)
    set_clustering(config._cfg_dict, dict(k1=80 if joins else 6, k2=1, eps=0.97 if joins else 0.1, min_samples=1))
    config.work_dir, config.log_level, config.param_scheduler = str(folder), 'ERROR', None
    config.train_cfg.update(max_epochs=1, val_begin=1, val_interval=1)
    fit_to_machine(config)
    return config


def set_clustering(node, clustering):
    if isinstance(node, dict):
        for prefix in ('', 'joint_'):
            node.update({f'{prefix}{k}': v for k, v in clustering.items() if f'{prefix}{k}' in node})
        node = list(node.values())
    for value in node if isinstance(node, (list, tuple)) else ():
        set_clustering(value, clustering)


def test_the_data_set_is_the_direction():
    assert all(sorted(directions_of(file)) == sorted(LAYOUTS) for file in IMAGES.glob('*.py'))
    with pytest.raises(ConfigError, match="no direction 'llcm'; known are regdb, sysu_mm01"):
        load_config('images/adca_llcm')


#: Both data sets where the methods differ, otherwise one of them.
TRAINED = [path for path in FILES if path.stem.startswith(('gur', 'rpnr_r', 'pclhd')) or path.stem.endswith('mm01')]


@pytest.mark.slow
@pytest.mark.parametrize('path', TRAINED, ids=lambda path: path.stem)
def test_it_trains_for_two_iterations(path, tmp_path):
    runner = build_runner(tiny(path, tmp_path), None, None)
    before = {name: value.detach().clone() for name, value in runner.model.named_parameters()}
    runner.train()
    assert runner.iter == 2
    after = dict(runner.model.named_parameters())
    assert all(value.isfinite().all() for value in after.values())
    assert any(name.startswith('backbone.') for name in after if not torch.equal(after[name], before[name]))
    selected = read_selected(tmp_path)
    assert selected.epoch == 1
    assert selected.metric.startswith('ir2rgb/' if 'sysu' in path.stem else 'rgb2ir/')
    assert (tmp_path / 'test_selected.pth').exists()


@pytest.mark.slow
@pytest.mark.parametrize('name', ['pclhd_sysu_mm01', 'sdcl_regdb', 'gur_sysu_mm01'])
def test_it_passes_the_trial_before_long_work(name, tmp_path):
    path = IMAGES / f'{name}.py'
    check_stage(tiny(path, tmp_path))


@pytest.mark.parametrize('way', ['option', 'file'])
def test_a_first_stage_reads_the_trial_and_the_folder_of_the_second(way, worlds, tmp_path):
    path, options = IMAGES / 'adca_regdb.py', {'trial': 3, 'data_root': str(worlds / 'regdb')}
    if way == 'file':
        text = f'_base_ = {str(IMAGES / "adca.py")!r}\ntrial = 3\ndata_root = {str(worlds / "regdb")!r}\n'
        (tmp_path / 'mine.py').write_text(text)
        path, options = tmp_path / 'mine_regdb.py', {}
    options = RunOptions(work_dir=tmp_path / 'trial_3' / 'adca', config_options=options)
    (first, _), (second, _) = experiment_stages(prepare(path, options), options)
    assert Path(first.work_dir) == tmp_path / 'trial_3' / 'adca_first_regdb'
    for config in (first, second):
        found = {(part.dataset.root, part.dataset.trial) for key, part in config.items() if key.endswith('_dataloader')}
        assert found == {(str(worlds / 'regdb'), 3)}


def test_the_weights_of_torchvision_are_named_if_they_are_missing(tmp_path, monkeypatch):
    monkeypatch.setenv('DSCREID_RESNET50', str(tmp_path / 'missing.pth'))
    config = load_config(IMAGES / 'adca_first_sysu_mm01.py')
    assert config.get('source') is None
    model = MODELS.build(config.model)
    with pytest.raises(CheckpointError, match=r"missing\.pth.*get torchvision's resnet50 from https://\S+resnet50"):
        model.init_weights()


@pytest.mark.parametrize('name', ['pgm_first', 'pgm'])
def test_the_non_local_blocks_of_pgm_are_as_narrow_as_released(name):
    for direction in LAYOUTS:
        backbone = load_config(IMAGES / f'{name}_{direction}.py').model.backbone
        assert (backbone.non_local, backbone.non_local_channels) == (True, 1)


def test_the_page_prints_the_published_figures_of_the_metafile():
    content = mmengine.load(IMAGES / 'metafile.yml')
    rows = dict(re.findall(r'^\| `images/(\w+)_\*`[^|]*(\|.*)$', (DOCS / 'check_us.md').read_text(), flags=re.M))
    methods = {model['Config'].split('/')[-1].removesuffix('.py') for model in content['Models']}
    assert set(rows) == methods
    for model in content['Models']:
        assert load_config(IMAGES / f'{model["Name"]}.py').filename
        printed = rows[model['Name'].removesuffix('_regdb').removesuffix('_sysu_mm01')]
        for result in model['Results']:
            values = list(result['Published'].values())
            for rank, mean in zip(values[::2], values[1::2], strict=True):
                pair = ' / '.join(str(Decimal(str(v)).quantize(Decimal('0.1'), ROUND_HALF_UP)) for v in (rank, mean))
                assert f'| {pair} |' in printed, (model['Name'], pair)
