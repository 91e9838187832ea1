import json

import numpy as np
import pytest
import torch
from full_disks import files_of_at_most

from dscreid.datasets import HITSZVCM
from dscreid.deployment import TrackletInferencer, export_bundle, make_bundle
from dscreid.deployment.export import TOLERANCE, read_exported
from dscreid.errors import CheckpointError, ConfigError, TrainingError

onnx = pytest.importorskip('onnx', reason='the extra "export" is not installed')
pytest.importorskip('onnxruntime', reason='the extra "export" is not installed')
NOTES = dict(license='for tests only', training_data='rendered worlds')


@pytest.fixture(scope='module', params=['.onnx', '.pt2'])
def exported(bundle, request, tmp_path_factory):
    out = tmp_path_factory.mktemp('exported') / f'model{request.param}'
    assert export_bundle(bundle, out) <= 1e-4
    return out


@pytest.fixture(scope='module')
def test_set(tiny_runs):
    return HITSZVCM(tiny_runs.hitsz, 'test', expected_statistics=None)


def test_features_are_those_of_the_bundle(bundle, exported, test_set):
    found, expected = (TrackletInferencer(one, batch_size=5)(test_set) for one in (exported, bundle))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize('number', [1, 2, 9])
def test_the_batch_size_is_free_and_the_input_is_uint8(exported, bundle, number):
    description, run = read_exported(exported)
    frames = np.random.default_rng(number).integers(0, 256, (number, 2, 3, 32, 16), dtype=np.uint8)
    np.testing.assert_allclose(run(frames), TrackletInferencer(bundle).embed(torch.from_numpy(frames)), atol=1e-5)
    assert description.fingerprint == bundle.fingerprint
    assert description.license == 'for tests only'


def test_onnx_metadata_can_be_read_without_dscreid(bundle, tmp_path):
    export_bundle(bundle, tmp_path / 'a.onnx')
    model = onnx.load(tmp_path / 'a.onnx')
    (prop,) = (prop for prop in model.metadata_props if prop.key == 'dscreid')
    assert json.loads(prop.value)['pipeline'][1]['size'] == [32, 16]
    (shape,) = (i.type.tensor_type for i in model.graph.input)
    assert shape.elem_type == onnx.TensorProto.UINT8
    assert [d.dim_value for d in shape.shape.dim][1:] == [2, 3, 32, 16]
    assert shape.shape.dim[0].dim_param


def test_flip_and_raw_features(tiny_runs, tiny_experiment, tmp_path, test_set):
    from dscreid.apis import load_config

    config = load_config(tiny_runs.adapt, {'model.retrieval': 'raw'})
    bundle = make_bundle(config, tiny_experiment.checkpoint, tmp_path / 'raw', flip=True, **NOTES)
    # raw features have another length, so the largest difference is relative to it
    features = TrackletInferencer(bundle)(test_set)
    assert np.linalg.norm(features, axis=1).max() > 1.5
    export_bundle(bundle, tmp_path / 'raw.pt2')
    np.testing.assert_allclose(TrackletInferencer(tmp_path / 'raw.pt2')(test_set), features, atol=1e-4)


@pytest.mark.slow
def test_half_precision(bundle, tmp_path, test_set):
    for name in ('half.pt2', 'half.onnx'):
        assert 0 < export_bundle(bundle, tmp_path / name, half=True) <= TOLERANCE[True]
    export_bundle(bundle, tmp_path / 'full.pt2')
    saved = (tmp_path / 'full.pt2').stat().st_size - (tmp_path / 'half.pt2').stat().st_size
    assert saved > 0.2 * (bundle.folder / 'model.safetensors').stat().st_size
    found = TrackletInferencer(tmp_path / 'half.pt2')(test_set)
    np.testing.assert_allclose(found, TrackletInferencer(bundle)(test_set), atol=TOLERANCE[True])


def test_a_difference_is_not_written(bundle, tmp_path, monkeypatch):
    monkeypatch.setitem(TOLERANCE, True, 0.0)
    with pytest.raises(TrainingError, match=r'features differ by .* from those of the bundle'):
        export_bundle(bundle, tmp_path / 'half.pt2', half=True)
    assert list(tmp_path.iterdir()) == []


def test_foreign_files_are_named(tmp_path, bundle):
    with pytest.raises(ConfigError, match=r'the suffix must be \.onnx or \.pt2'):
        export_bundle(bundle, tmp_path / 'a.engine')
    for name in ('a.onnx', 'a.pt2'):
        with pytest.raises(CheckpointError, match='the file is missing; export it with dscreid export'):
            TrackletInferencer(tmp_path / name)
        (tmp_path / name).write_bytes(b'nothing')
        with pytest.raises(CheckpointError, match='cannot be loaded'):
            TrackletInferencer(tmp_path / name)
    torch.export.save(torch.export.export(torch.nn.Identity(), (torch.ones(1),)), tmp_path / 'b.pt2')
    with pytest.raises(CheckpointError, match='was not exported by dscreid'):
        TrackletInferencer(tmp_path / 'b.pt2')


def test_exported_files_run_on_the_cpu(exported):
    with pytest.raises(ConfigError, match='exported files run on the CPU here'):
        TrackletInferencer(exported, device='cuda')


@pytest.mark.parametrize('name', ['full.onnx', 'full.pt2'])
def test_a_full_disk_leaves_no_file(bundle, tmp_path, name):
    with files_of_at_most(1000), pytest.raises(OSError, match=f'File too large.*{name}'):
        export_bundle(bundle, tmp_path / name)
    assert list(tmp_path.iterdir()) == []
