import json

import numpy as np
import pytest

from dscreid.errors import DscreidError
from dscreid.visualization import make_scalars, read_scalars


def test_series_lie_on_their_axes(records):
    series = make_scalars(records).series
    np.testing.assert_array_equal(series['loss'][0], np.arange(1, 7))
    np.testing.assert_allclose(series['loss'][1], 3.0 / np.arange(1, 7))
    np.testing.assert_array_equal(series['labels/rgb_clusters'][0], [1, 2])
    np.testing.assert_array_equal(series['labels/rgb_clusters'][1], [10, 20])
    assert 'strange key' not in series
    assert 'epoch' not in series


def test_labels_logged_with_the_losses_count_epochs_once():
    lines = [{'labels/rgb_ari': 0.1 * i, 'epoch': (i + 1) // 2, 'iter': i, 'step': i} for i in range(1, 5)]
    x, y = make_scalars(lines).series['labels/rgb_ari']
    np.testing.assert_array_equal(x, [1, 2])
    np.testing.assert_allclose(y, [0.2, 0.4])


def test_of_repeated_steps_the_last_counts(tmp_path, records):
    first, resumed = tmp_path / 'a.json', tmp_path / 'b.json'
    first.write_text('\n'.join(map(json.dumps, records)))
    resumed.write_text(json.dumps({'loss': 42.0, 'iter': 2, 'step': 2, 'epoch': 1}) + '\n\n')
    loss = read_scalars(first, resumed).series['loss']
    np.testing.assert_allclose(loss[1][:3], [3.0, 42.0, 1.0])


def test_texts_are_left_out_and_values_that_are_not_finite_are_gaps():
    values = [float('nan'), 3, -1e300, None, True, 'x', 2, 10**400]
    scalars = make_scalars([{'loss': value, 'iter': at} for at, value in enumerate(values)])
    np.testing.assert_array_equal(scalars.series['loss'], ([0, 1, 2, 6], [np.nan, 3, np.nan, 2]))
    assert make_scalars([{'loss': 1.0}, {'loss': 1.0, 'iter': 1e300}]).series == {}


def test_bad_files_are_named(tmp_path):
    with pytest.raises(DscreidError, match=r'missing\.json cannot be read'):
        read_scalars(tmp_path / 'missing.json')
    broken = tmp_path / 'broken.json'
    broken.write_text('{"loss": 1, "iter": 1}\n{"loss": 1, "it')
    with pytest.raises(DscreidError, match=r'broken\.json:2 is not a JSON object'):
        read_scalars(broken)
    broken.write_bytes(b'\xff\xfe\x00')
    with pytest.raises(DscreidError, match='not a text file'):
        read_scalars(broken)
