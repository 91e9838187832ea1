"""Ways to relate clusters against loops over planted features."""

from collections import Counter

import numpy as np
import pytest
import torch

from dscreid.lab import matching_study
from dscreid.lab.density_study import LabeledFeatures
from dscreid.lab.matching_study import COVERAGES, WAYS, matched_labels, matching_markdown, shares_of_right_labels
from dscreid.pseudo_labels.unification import pool_votes, unify_labels
from dscreid.pseudo_labels.whitening import whitened
from dscreid.structures import Modality, PseudoLabels, TrackletFeatures

TOPK = 4


def planted(seed, noise, people=9, each=4):
    generator = torch.Generator().manual_seed(seed)
    pids = np.repeat(np.arange(people), each)
    centers = torch.randn(2, people, 12, generator=torch.Generator().manual_seed(0))[:, pids]
    halves = centers + noise * torch.randn(2, len(pids), 12, generator=generator)
    return LabeledFeatures(TrackletFeatures(*halves), pids)


@pytest.fixture
def target():
    return {Modality.RGB: planted(1, 1.0), Modality.IR: planted(2, 1.2)}


def separate(*labels):
    rgb, ir = (np.array(one, np.int64) for one in labels)
    return PseudoLabels(rgb=rgb, ir=ir, shared=False)


@pytest.mark.parametrize('seed', range(4))
def test_certainties_are_shares_of_votes_counted_in_loops(target, seed):
    rng = np.random.default_rng(seed)
    visible, infrared = (part.features for part in target.values())
    clusters = separate(rng.integers(-1, 6, len(visible)), rng.integers(-1, 6, len(infrared)))
    found = matched_labels(visible, infrared, clusters, TOPK)
    assert tuple(found) == WAYS
    for way, (labels, certainty) in found.items():
        change = (lambda half: half) if way in WAYS[:2] else whitened
        rows = [change(half) for half in (visible.static, visible.dynamic, infrared.static, infrared.dynamic)]
        single, votes = unify_labels(*rows, clusters.ir, TOPK, return_votes=True)
        expected = single if way == WAYS[0] else pool_votes(single, votes, clusters.rgb, one_to_one=way == WAYS[3])
        np.testing.assert_array_equal(labels, expected)
        for row, label in enumerate(labels):
            alone = way == WAYS[0] or clusters.rgb[row] < 0
            members = np.flatnonzero((clusters.rgb == clusters.rgb[row]) & (single >= 0))
            counts = Counter()
            for member in members:
                counts[single[member]] += votes[member]
            share = votes[row] / TOPK if alone else counts[label] / max(counts.total(), 1)
            assert certainty[row] == pytest.approx(share if label >= 0 else 0)


def test_shares_are_those_of_the_most_certain_labels(target, monkeypatch):
    clusters = separate(target[Modality.RGB].pids, target[Modality.IR].pids)
    monkeypatch.setattr(matching_study, 'ClusterLabeler', lambda *_: lambda *_: clusters)
    table = shares_of_right_labels(target, TOPK)
    found = matched_labels(*(part.features for part in target.values()), clusters, TOPK)
    pids = target[Modality.RGB].pids  # also the infrared clusters
    for way, shares in table.items():
        labels, certainty = found[way]
        order = sorted(range(len(pids)), key=lambda row: (-certainty[row], row))
        for coverage, share in zip(COVERAGES, shares, strict=True):
            first = order[: round(coverage * len(pids))]
            assert share == pytest.approx(np.mean([labels[row] == pids[row] for row in first]))
    assert len({tuple(shares) for shares in table.values()}) > 1


def test_equal_modalities_are_matched_perfectly():
    part = planted(1, 0.05)
    assert shares_of_right_labels(dict.fromkeys(Modality, part), TOPK) == dict.fromkeys(WAYS, [1.0] * len(COVERAGES))


def test_the_table_has_a_line_for_each_way(target):
    text = matching_markdown({'a': target, 'b': target}, TOPK)
    assert '| target | labels by | most certain 25% | most certain 50% | most certain 75% | all |' in text
    lines = text.splitlines()
    assert len(lines) == 2 + 2 * len(WAYS)
    assert lines[2].startswith(f'| a | {WAYS[0]} |')
    assert lines[3].startswith(f'|  | {WAYS[1]} |')
    assert {line.count('|') for line in lines} == {7}
