import dataclasses

import numpy as np
import pytest

from dscreid.visualization import distance_density
from dscreid.visualization.densities import densities_html


def brute_force_means(table):
    unit = table.feature / np.linalg.norm(table.feature, axis=1, keepdims=True)
    kinds = {True: [], False: []}
    for row in np.flatnonzero(table.modality == 0):
        for column in np.flatnonzero(table.modality == 1):
            kinds[bool(table.pid[row] == table.pid[column])].append(1 - float(unit[row] @ unit[column]))
    return np.mean(kinds[True]), np.mean(kinds[False])


@pytest.mark.parametrize('chunk', [3, 1024])
def test_means_are_those_of_all_cross_modal_pairs(features, chunk):
    table = features()
    scaled = dataclasses.replace(table, feature=table.feature * np.float32(7))
    density = distance_density('run', scaled, chunk=chunk)
    intra, inter = brute_force_means(table)
    assert density.intra_mean == pytest.approx(intra, abs=1e-6)
    assert density.inter_mean == pytest.approx(inter, abs=1e-6)
    assert density.gap == pytest.approx(inter - intra, abs=1e-6)


def test_densities_integrate_to_one_and_have_the_right_mean(features):
    density = distance_density('run', features(noise=0.5))
    step = density.grid[1] - density.grid[0]
    for curve, mean in ((density.intra, density.intra_mean), (density.inter, density.inter_mean)):
        assert curve.min() >= 0
        assert curve.sum() * step == pytest.approx(1, abs=1e-9)
        assert (curve * density.grid).sum() * step == pytest.approx(mean, abs=0.02)


def test_identical_features_have_distance_zero(features):
    table = features()
    density = distance_density('run', dataclasses.replace(table, feature=np.ones_like(table.feature)))
    assert density.intra_mean == pytest.approx(0, abs=1e-6)
    assert density.grid[density.intra.argmax()] < 0.01


def test_without_pairs_there_is_no_density(features):
    table = features()
    one_person = dataclasses.replace(table, pid=np.zeros_like(table.pid))
    strangers = dataclasses.replace(table, pid=np.arange(len(table)))
    one_modality = dataclasses.replace(table, modality=np.zeros_like(table.modality))
    assert [distance_density('run', t) for t in (one_person, strangers, one_modality)] == [None] * 3


def test_unknown_persons_are_left_out(features):
    table = features()
    known = np.arange(len(table)) >= 8
    masked = dataclasses.replace(table, pid=np.where(known, table.pid, -1))
    density = distance_density('run', masked)
    kept = dataclasses.replace(
        table, **{name: getattr(table, name)[known] for name in ('feature', 'pid', 'modality', 'camera', 'index')},
        is_query=table.is_query[known],
    )  # fmt: skip
    intra, inter = brute_force_means(kept)
    assert (density.intra_mean, density.inter_mean) == pytest.approx((intra, inter), abs=1e-6)
    assert distance_density('run', dataclasses.replace(table, pid=np.full(len(table), -1))) is None


def test_html_names_runs_and_gaps(features, parse):
    before, after = (
        distance_density('before', features(noise=2)),
        distance_density('after', features(noise=0.3)),
    )
    page = parse(densities_html([before, after]))
    assert len(page.charts) == 2
    for density in (before, after):
        assert f'Distance between the means: {density.gap:.3f}.'.replace('-', '−') in page.text
        assert f'mean {density.intra_mean:.3f}' in page.text
    assert after.gap > before.gap
    assert densities_html([]) == ''
