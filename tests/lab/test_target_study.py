"""Statistics of a target against loops over planted features."""

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score

from dscreid.errors import DatasetError
from dscreid.lab.density_study import LabeledFeatures
from dscreid.lab.target_study import HALVES, statistics_markdown, target_statistics
from dscreid.structures import Modality, TrackletFeatures


def planted(noise, seed, people=12, each=4, first=0):
    generator = torch.Generator().manual_seed(seed)
    pids = np.repeat(np.arange(first, first + people), each)
    centers = torch.randn(2, 60, 16, generator=torch.Generator().manual_seed(0))[:, pids]
    spread = torch.tensor([noise, 2 * noise]).view(2, 1, 1)
    return LabeledFeatures(
        TrackletFeatures(*(centers + spread * torch.randn(2, len(pids), 16, generator=generator))), pids
    )


@pytest.fixture
def target():
    return {Modality.RGB: planted(0.9, 1), Modality.IR: planted(1.2, 2, people=9, each=3)}


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def feature(part, half):
    static, dynamic = unit(part.features.static.numpy()), unit(part.features.dynamic.numpy())
    return {'static': static, 'dynamic': dynamic, 'both': np.hstack([static, dynamic])}[half]


def slow_precisions(query, gallery, half):
    """Average precision of each query, NaN without a match."""
    scores = feature(query, half) @ feature(gallery, half).T
    right = query.pids[:, None] == gallery.pids[None]
    pairs = zip(right, scores, strict=True)
    return [average_precision_score(truth, row) if truth.any() else np.nan for truth, row in pairs]


@pytest.mark.parametrize('half', HALVES)
def test_shares_and_map_are_those_of_loops(target, half):
    found = target_statistics(target).halves[half]
    for modality, part in target.items():
        rows, right = feature(part, half), 0
        for number, row in enumerate(rows):
            others = [other for other in range(len(rows)) if other != number]
            right += part.pids[max(others, key=lambda other: float(rows[other] @ row))] == part.pids[number]
        assert found.within[modality] == pytest.approx(right / len(rows))
    rgb, ir = target.values()
    scores = feature(rgb, half) @ feature(ir, half).T
    assert found.across[Modality.RGB] == pytest.approx((ir.pids[scores.argmax(1)] == rgb.pids).mean())
    assert found.across[Modality.IR] == pytest.approx((rgb.pids[scores.argmax(0)] == ir.pids).mean())
    means = [np.nanmean(slow_precisions(*pair, half)) for pair in ((rgb, ir), (ir, rgb))]
    assert found.mean_ap == pytest.approx(np.mean(means))


def test_correlation_is_that_of_the_precisions_of_both_directions(target):
    rgb, ir = target.values()
    static, dynamic = (
        np.array(slow_precisions(rgb, ir, half) + slow_precisions(ir, rgb, half)) for half in ('static', 'dynamic')
    )
    known = np.isfinite(static)
    assert 0 < (~known).sum() < len(known)
    expected = np.corrcoef(static[known], dynamic[known])[0, 1]
    assert target_statistics(target).error_correlation == pytest.approx(expected)


def test_equal_halves_agree_and_perfect_ones_have_no_correlation():
    parts = {modality: planted(0.8, seed) for seed, modality in enumerate(Modality)}
    equal = {
        modality: LabeledFeatures(TrackletFeatures(part.features.static, part.features.static), part.pids)
        for modality, part in parts.items()
    }
    assert target_statistics(equal).error_correlation == pytest.approx(1)
    perfect = target_statistics({modality: planted(1e-3, seed) for seed, modality in enumerate(Modality)})
    assert np.isnan(perfect.error_correlation)
    assert perfect.ari == dict.fromkeys(Modality, 1.0)
    assert perfect.halves['both'].mean_ap == 1


def test_a_target_whose_modalities_share_nobody_is_refused():
    with pytest.raises(DatasetError, match='no person of the target has tracklets of both modalities'):
        target_statistics({Modality.RGB: planted(1.0, 1), Modality.IR: planted(1.0, 2, first=30)})


def test_the_table_has_a_row_per_half(target):
    lines = statistics_markdown({'mine': target_statistics(target)}).splitlines()
    assert len(lines) == 5
    assert lines[2].startswith('| mine | 12 | 48, 27 | ')
    assert [line.split('|')[5].strip() for line in lines[2:]] == list(HALVES)
    assert len({line.count('|') for line in lines}) == 1
