import json

import numpy as np
import pytest

from dscreid.errors import DscreidError
from dscreid.visualization import Scalars, make_scalars, read_scalars
from dscreid.visualization.curves import curve_cards
from dscreid.visualization.page import part


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
    with pytest.raises(DscreidError, match=r'broken\.json:2 cannot be read'):
        read_scalars(broken)
    broken.write_bytes(b'\xff\xfe\x00')
    with pytest.raises(DscreidError, match=r'broken\.json cannot be read'):
        read_scalars(broken)


# ---- charts ----
def curves_html(runs):
    return part('curves', stages={'': curve_cards(runs)})


@pytest.fixture
def cards_of(parse):
    """Function that gives the cards of a run's records, or of several runs', by title."""

    def call(*runs):
        cards = curve_cards({f'run {number}': make_scalars(records) for number, records in enumerate(runs)})
        assert len({card.title for card in cards}) == len(cards)
        return {card.title: card for card in cards}

    return call


def test_figures_of_one_run(records, parse):
    page = parse(curves_html({'': make_scalars(records)}))
    labels = page.charts
    assert [label.split(' by ')[0] for label in labels] == [
        'Total loss',
        'Loss terms',
        'Learning rate',
        'Clusters',
        'Validation mAP',
    ]
    assert 'visible from 10 to 20' in labels[3]
    assert labels[4].endswith('RGB→IR from 20 to 40; mean from 10 to 10')  # percent
    assert all(len(page.charts) == len(page.find(tag)) for tag in ('figure', 'h4'))


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
    (chart,) = parse(curves_html({'': make_scalars(lines)})).charts
    assert chart == ('Label-free criteria by epoch: cycle return from 0.1 to 0.1; silhouette from 0.2 to 0.2')


def test_several_runs_share_a_chart_per_series(records, cards_of):
    longer = [
        *records,
        {'labels/rgb_clusters': 14, 'step': 3},
        {'labels/cross_modal_accuracy': 0.5, 'step': 1},
    ]
    cards = cards_of(records, longer)
    assert {'Total loss', 'Clusters: visible', 'Clusters: infrared', 'Validation mAP: RGB→IR'} <= set(cards)
    visible = cards['Clusters: visible']
    assert [entry.name for entry in visible.legend] == ['run 0', 'run 1']
    assert len({(entry.color, entry.style) for entry in visible.legend}) == 2
    assert 'run 0 from 10 to 20; run 1 from 10 to 14' in visible.description
    # one that a single run logged, once
    assert cards['Cross-modal accuracy'].description == 'Cross-modal accuracy by epoch: run 1 from 0.5 to 0.5'


def test_more_runs_than_colors_differ_in_their_lines(records, cards_of):
    entries = cards_of(*[records] * 12)['Total loss'].legend
    assert len({(entry.color, entry.style) for entry in entries}) == 12


def test_values_that_are_not_finite_are_gaps_with_a_note(cards_of, drawing_of):
    values = [1.0, float('nan'), 2.0, float('inf'), 3.0]
    records = [{'loss': value, 'lr': float('nan'), 'iter': at} for at, value in enumerate(values, 1)]
    cards = cards_of(records)
    assert 'loss from 1 to 3' in cards['Total loss'].description
    assert 'nan' not in drawing_of(cards['Total loss'].chart).lower()
    assert cards['Total loss'].captions[-1] == 'loss: 2 of 5 values are NaN or infinite and left out.'
    assert cards['Learning rate'].chart == ''
    assert cards['Learning rate'].captions == ['lr: 5 of 5 values are NaN or infinite and left out.']


def test_true_number_of_identities(records, parse):
    logged = [*records, {'labels/rgb_identities': 17, 'step': 1}]
    assert make_scalars(logged).identities == 17
    assert make_scalars(logged, identities=12).identities == 12
    assert 'true identities (17)' in parse(curves_html({'': make_scalars(logged)})).text
    assert 'true identities' not in curves_html({'': make_scalars(records)})
    runs = {'a': make_scalars(logged), 'b': make_scalars(records, identities=3)}
    assert 'true identities' not in curves_html(runs)


def test_nothing_logged_is_nothing(tmp_path):
    empty = tmp_path / 'scalars.json'
    empty.write_text('')
    assert curves_html({'': read_scalars(empty)}) == ''
    assert curves_html({'': Scalars({'unknown': (np.ones(1), np.ones(1))})}) == ''
