"""Image data sets through the tools: a rendered world, a small encoder of pictures, and every shipped base config."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_methods import render_pictures

from dscreid.apis.config import load_config
from dscreid.apis.inference import init_model
from dscreid.apis.preflight import check_stage
from dscreid.datasets import LLCM, SYSUMM01, RegDB
from dscreid.datasets.samplers.batch_plan_sampler import planned_batch_size
from dscreid.errors import ConfigError, DatasetError
from dscreid.evaluation import evaluate_image_protocol, load_features
from dscreid.lab.dataset_checks import Severity
from dscreid.lab.doctor import DoctorOptions, diagnose
from dscreid.registry import DATASETS, METRICS

pytestmark = pytest.mark.usefixtures('one_thread_throughout')
BASES = Path(__file__).parents[1] / 'configs' / '_base_'
KINDS = {'sysu_mm01': SYSUMM01, 'regdb': RegDB, 'llcm': LLCM}
EXPERIMENT = """
_base_ = [{data!r}, {runtime!r}]
data_root = {root!r}
frame_size = (32, 16)
tower = dict(
    type='CLIPVisionTransformer', patch_size=8, width=32, layers=2, heads=2, activation='gelu', pretrained=None
)
model = dict(type='SourceReID', backbone=dict(type='FrameAverage', tower=tower), num_classes=None, dynamic_weight=0.0)
train_dataloader = dict(num_workers=0, persistent_workers=False, pin_memory=False,
                        sampler=dict(num_identities=2, num_tracklets=2, iterations=2))
test_dataloader = dict(num_workers=0, persistent_workers=False, pin_memory=False)
val_dataloader = test_dataloader
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-3))
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=1, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
"""


@pytest.fixture(scope='module')
def worlds(tmp_path_factory):
    render_pictures(folder := tmp_path_factory.mktemp('worlds'), KINDS, train_ids=2, test_ids=3)
    return folder


@pytest.fixture
def experiment(worlds, tmp_path):
    """Function that writes the config of an experiment on labeled pictures and random weights; returns both paths."""

    def write(name):
        data, runtime = BASES / 'datasets' / f'{name}_source.py', BASES / 'default_runtime.py'
        path = tmp_path / f'{name}.py'
        path.write_text(EXPERIMENT.format(data=str(data), runtime=str(runtime), root=str(worlds / name)))
        torch.manual_seed(0)
        torch.save({'state_dict': init_model(path).state_dict()}, tmp_path / 'weights.pth')
        return path, tmp_path / 'weights.pth'

    return write


@pytest.mark.slow
def test_the_test_tool_measures_the_published_protocol(experiment, worlds, tmp_path, load_tool, capsys):
    path, weights = experiment('sysu_mm01')
    out, dump, queries = tmp_path / 'm.json', tmp_path / 'f.safetensors', tmp_path / 'q.csv'
    options = ('--protocol', 'sysu_mm01_indoor_single', '--confidence', '0.9', '--work-dir', tmp_path / 'log')
    files = ('--out', out, '--dump-features', dump, '--per-query', queries)
    load_tool('test.py').main([*map(str, (path, weights, *options, *files))])
    table, dataset = load_features(dump), SYSUMM01(worlds / 'sysu_mm01', 'test')
    names = [tracklet.frames[0] for tracklet in dataset.tracklets]
    expected = evaluate_image_protocol('sysu_mm01_indoor_single', table.feature, table.pid, table.camera, names)
    written = json.loads(out.read_text())
    for name, value in expected.items():
        # random weights make pictures so similar that float32 and float64 may order some of them differently
        assert written[f'ir2rgb/{name.replace(" std", "_std")}'] == pytest.approx(value, abs=2e-3)
    low, high = written['confidence']['intervals']['ir2rgb/mAP']
    assert low <= written['ir2rgb/mAP'] <= high
    assert written['rankings']['neck_both']['ir2rgb/mAP'] == pytest.approx(written['ir2rgb/mAP'])
    # both halves are one picture's features
    assert written['rankings']['raw_static'] == written['rankings']['raw_dynamic']
    with queries.open(newline='') as file:
        rows = list(csv.DictReader(file))
    assert {int(row['trial']) for row in rows} == set(range(10))
    assert len(rows) == 10 * sum(t.is_query for t in dataset.tracklets)
    assert np.mean([float(row['AP']) for row in rows]) == pytest.approx(written['ir2rgb/mAP'])
    shown = capsys.readouterr().out.splitlines()
    spread = shown.index('standard deviation over the trials')
    assert shown[spread + 2].startswith('ir2rgb')
    assert f'{100 * expected["mAP std"]:.1f}' in shown[spread + 2]


@pytest.mark.slow
@pytest.mark.parametrize('name', ['regdb', 'llcm'])
def test_both_directions_are_measured_at_once(experiment, worlds, tmp_path, load_tool, name):
    path, weights = experiment(name)
    out, dump = tmp_path / 'm.json', tmp_path / 'f.safetensors'
    load_tool('test.py').main(
        [*map(str, (path, weights, '--out', out, '--dump-features', dump, '--work-dir', tmp_path))]
    )
    table, dataset = load_features(dump), KINDS[name](worlds / name, 'test')
    names = [tracklet.frames[0] for tracklet in dataset.tracklets]
    written = json.loads(out.read_text())
    halves = {
        'regdb': ('regdb_visible2thermal', 'regdb_thermal2visible'), 'llcm': ('llcm_vis2nir', 'llcm_nir2vis'),
    }[name]  # fmt: skip
    for direction, protocol in zip(('rgb2ir', 'ir2rgb'), halves, strict=True):
        expected = evaluate_image_protocol(protocol, table.feature, table.pid, table.camera, names)
        # random weights make pictures so similar that float32 and float64 order some of them differently
        assert written[f'{direction}/mAP'] == pytest.approx(expected['mAP'], abs=2e-3)
        assert written[f'{direction}/Rank-1'] == pytest.approx(expected['Rank-1'], abs=0.02)
        assert (f'{direction}/mAP_std' in written) == (name == 'llcm')
    assert written['mean/mAP'] == pytest.approx((written['rgb2ir/mAP'] + written['ir2rgb/mAP']) / 2)


@pytest.mark.slow
@pytest.mark.parametrize('name', KINDS)
def test_the_doctor_finds_nothing(experiment, name):
    path, _ = experiment(name)
    diagnosis = diagnose(path, DoctorOptions(jobs=1, check_batches=False))
    found = [f for f in diagnosis.findings if f.severity > Severity.INFO]
    # the world is not the published data set, and this machine is none for training
    assert {f.check for f in found} <= {'published counts', 'machine', 'memory', 'time', 'balance'}, found
    assert {'evaluation', 'frames', 'overlap'} <= {f.check for f in diagnosis.findings}


@pytest.mark.slow
def test_a_stage_on_pictures_passes_its_trial(experiment):
    check_stage(load_config(experiment('sysu_mm01')[0]))


def test_an_encoder_of_motion_is_refused(experiment, tmp_path, load_tool):
    path, _ = experiment('sysu_mm01')
    changed = path.read_text().replace(
        "type='FrameAverage'", "type='SpatioTemporalPrompting', start_layer=1, num_heads=2"
    )
    path.write_text(changed)
    message = (
        'SpatioTemporalPrompting computes its dynamic feature from several frames, but SYSUMM01 has single pictures; '
        'choose a backbone that encodes pictures, such as TwoStreamResNet50, or ShallowDeepViT for methods with two '
        'halves, such as DSC'
    )
    with pytest.raises(ConfigError, match=message):
        check_stage(load_config(path))
    torch.save({'state_dict': init_model(path).state_dict()}, tmp_path / 'motion.pth')
    with pytest.raises(ConfigError, match=message):
        load_tool('test.py').main([str(path), str(tmp_path / 'motion.pth'), '--work-dir', str(tmp_path)])


def test_nothing_is_measured_on_a_damaged_data_set(experiment, worlds, tmp_path, load_tool):
    path, weights = experiment('regdb')
    root = worlds / 'regdb'
    picture = root / RegDB(root, 'test').tracklets[5].frames[0]
    content = picture.read_bytes()
    picture.write_bytes(b'')
    try:
        with pytest.raises(DatasetError, match=rf'test_visible_1.txt:6: picture {picture} has no bytes'):
            load_tool('test.py').main(
                [*map(str, (path, weights, '--out', tmp_path / 'm.json', '--work-dir', tmp_path))]
            )
    finally:
        picture.write_bytes(content)
    assert not (tmp_path / 'm.json').exists()


@pytest.mark.parametrize('role', ['', '_target', '_source'])
@pytest.mark.parametrize('name', KINDS)
def test_base_configs(name, role, worlds, monkeypatch):
    monkeypatch.setenv(f'DSCREID_{name.upper()}', str(worlds / name))
    config = load_config(BASES / 'datasets' / f'{name}{role}.py')
    assert METRICS.build(config.test_evaluator).protocol.startswith(name)
    test_set = DATASETS.build(config.test_dataloader.dataset)
    if name == 'regdb':
        other = load_config(BASES / 'datasets' / f'{name}{role}.py', {'trial': 2})
        assert test_set.trial == 1
        assert {loader.dataset.trial for key, loader in other.items() if key.endswith('_dataloader')} == {2}
    assert isinstance(test_set, KINDS[name])
    assert test_set[0]['inputs'].shape == (1, 3, 288, 144)
    if role:
        training = DATASETS.build(config.train_dataloader.dataset)
        assert (training.labels is None) == (role == '_target')
        size = planned_batch_size(config.train_dataloader.sampler)
        assert size == {'_target': 8 * 16 + 16 * 16, '_source': 2 * 8 * 4}[role]
