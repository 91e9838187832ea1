"""Feature files: what is written comes back, and what is not one is refused."""

import os

import numpy as np
import pytest
from safetensors.numpy import save_file

from dscreid.errors import DatasetError
from dscreid.evaluation import FeatureTable, load_features, save_features


def _table(n=5, halves=True):
    rng = np.random.default_rng(0)
    return FeatureTable(
        feature=rng.normal(size=(n, 6)).astype(np.float32),
        pid=rng.integers(9, size=n),
        camera=rng.integers(4, size=n),
        modality=np.arange(n) % 2,
        is_query=np.arange(n) < 2,
        index=np.arange(n),
        static=rng.normal(size=(n, 3)).astype(np.float32) if halves else None,
        dynamic=rng.normal(size=(n, 3)).astype(np.float32) if halves else None,
        neck_static=rng.normal(size=(n, 3)).astype(np.float32) if halves else None,
        neck_dynamic=rng.normal(size=(n, 3)).astype(np.float32) if halves else None,
        length=rng.integers(12, 99, size=n) if halves else None,
        same_as=np.arange(n) // 2 if halves else None,
    )


@pytest.mark.parametrize('halves', [True, False])
def test_round_trip(tmp_path, halves):
    table = _table(halves=halves)
    path = tmp_path / 'new' / 'features.safetensors'
    save_features(path, table)
    save_features(str(path), table)  # replaces
    loaded = load_features(path)
    assert len(loaded) == 5
    assert loaded.modalities == ['rgb', 'ir', 'rgb', 'ir', 'rgb']
    for name, array in vars(table).items():
        if array is None:
            assert getattr(loaded, name) is None
        else:
            assert getattr(loaded, name).dtype == array.dtype
            np.testing.assert_array_equal(getattr(loaded, name), array)
    assert [file.name for file in path.parent.iterdir()] == ['features.safetensors']


def test_others_may_read_what_the_umask_lets_them(tmp_path):
    before = os.umask(0o027)
    try:
        save_features(tmp_path / 'features.safetensors', _table())
    finally:
        os.umask(before)
    assert (tmp_path / 'features.safetensors').stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize('name', ['feature', 'static', 'dynamic'])
@pytest.mark.parametrize('value', [np.nan, -np.inf])
def test_features_that_are_not_finite_are_refused(tmp_path, name, value):
    table, path = _table(), tmp_path / 'spoilt.safetensors'
    getattr(table, name)[[1, 3], 0] = value
    save_features(path, table)
    message = r'spoilt\.safetensors: the features of 2 of 5 tracklets hold NaN or infinite .* first is tracklet 1'
    with pytest.raises(DatasetError, match=message):
        load_features(path)


def test_unaligned_rows_are_refused():
    table = _table()
    with pytest.raises(ValueError, match='one row per tracklet'):
        FeatureTable(**{**vars(table), 'pid': table.pid[:2]})


def test_broken_files_are_refused(tmp_path):
    with pytest.raises(DatasetError, match=r'absent.safetensors is missing; write it with'):
        load_features(tmp_path / 'absent.safetensors')
    text = tmp_path / 'text.safetensors'
    text.write_text('no tensors in here')
    with pytest.raises(DatasetError, match=r'text.safetensors is not a safetensors file'):
        load_features(text)
    part = tmp_path / 'part.safetensors'
    save_file({'pid': np.arange(3)}, part)
    with pytest.raises(DatasetError, match=r'part.safetensors lacks feature, camera, modality, is_query, index'):
        load_features(part)
    uneven = tmp_path / 'uneven.safetensors'
    arrays = {name: array for name, array in vars(_table()).items() if name != 'pid' and array is not None}
    save_file({**arrays, 'pid': np.arange(3)}, uneven)
    with pytest.raises(DatasetError, match=r'uneven.safetensors is damaged'):
        load_features(uneven)
