import json

import numpy as np
import pytest

from dscreid.errors import DscreidError
from dscreid.visualization import Scalars, make_scalars, read_scalars
from dscreid.visualization.curves import curves_html


@pytest.fixture
def records():
    lines = []
    for iteration in range(1, 7):
        epoch = (iteration + 2) // 3
        step = {'epoch': epoch, 'iter': iteration, 'step': iteration}
        lines.append({'loss': 3.0 / iteration, 'loss_id_static': 1.0, 'lr': 1e-4, **step})
        if iteration % 3 == 0:
            lines.append({'labels/rgb_clusters': 10 * epoch, 'labels/ir_clusters': 9, 'step': epoch})
            lines.append({'rgb2ir/mAP': 0.2 * epoch, 'mean/mAP': 0.1, 'strange key': 'text', 'step': epoch})
    return lines


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


def test_values_that_cannot_be_drawn_are_left_out():
    values = [float('nan'), float('inf'), None, True, 'x', 2]
    scalars = make_scalars([{'loss': value, 'iter': at} for at, value in enumerate(values)])
    np.testing.assert_array_equal(scalars.series['loss'], ([5.0], [2.0]))
    assert make_scalars([{'loss': 1.0}]).series == {}


def test_true_number_of_identities(records, parse):
    logged = [*records, {'labels/rgb_identities': 17, 'step': 1}]
    assert make_scalars(logged).identities == 17
    assert make_scalars(logged, identities=12).identities == 12
    assert 'true identities (17)' in parse(curves_html(make_scalars(logged))).text
    assert 'true identities' not in curves_html(make_scalars(records))


def test_figures(records, parse):
    page = parse(curves_html(make_scalars(records)))
    labels = [attributes['aria-label'] for attributes in page.find('svg')]
    assert [label.split(' by ')[0] for label in labels] == [
        'Total loss',
        'Loss terms',
        'Learning rate',
        'Clusters',
        'Validation mAP',
    ]
    assert 'visible from 10 to 20' in labels[3]
    assert ['1', '20', '10'] in page.rows  # epoch, RGB→IR and mean mAP in percent
    assert all(len(page.find('svg')) == len(page.find(tag)) for tag in ('figure', 'h4'))


def test_criteria_are_means_over_the_modalities(parse):
    lines = [
        {
            'criteria/cycle_return': 0.1,
            'criteria/cycle_return_rgb': 0.7,
            'criteria/silhouette': 0.2,
            'step': step,
        }
        for step in range(3)
    ]
    page = parse(curves_html(make_scalars(lines)))
    (svg,) = page.find('svg')
    assert svg['aria-label'] == (
        'Label-free criteria by epoch: cycle return from 0.1 to 0.1; silhouette from 0.2 to 0.2'
    )


def test_nothing_logged_is_a_sentence(tmp_path):
    empty = tmp_path / 'scalars.json'
    empty.write_text('')
    assert 'there are no curves' in curves_html(read_scalars(empty))
    assert 'there are no curves' in curves_html(Scalars({'unknown': (np.ones(1), np.ones(1))}))


def test_bad_files_are_named(tmp_path):
    with pytest.raises(DscreidError, match=r'missing\.json cannot be read'):
        read_scalars(tmp_path / 'missing.json')
    broken = tmp_path / 'broken.json'
    broken.write_text('{"loss": 1, "iter": 1}\n{"loss": 1, "it')
    with pytest.raises(DscreidError, match=r'broken\.json:2 is no JSON object'):
        read_scalars(broken)
    broken.write_bytes(b'\xff\xfe\x00')
    with pytest.raises(DscreidError, match='no text file'):
        read_scalars(broken)
