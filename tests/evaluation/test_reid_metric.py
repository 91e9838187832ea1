"""The metric on data samples, alone and through MMEngine's evaluator."""

import csv
import logging

import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator

from dscreid.errors import ConfigError, DatasetError, EvaluationError, TrainingError
from dscreid.evaluation import (
    InnerProduct,
    QueryExpansion,
    ReIDMetric,
    Reranked,
    Reranking,
    bootstrap_intervals,
    expand_queries,
    load_features,
    rank_metrics,
    rank_queries,
    summarize,
)
from dscreid.evaluation.metric import split_intervals
from dscreid.registry import METRICS
from dscreid.structures import ReIDDataSample


def _samples(n=40, seed=0, d=4):
    rng = np.random.default_rng(seed)
    samples = []
    for index in range(n):
        sample = ReIDDataSample()
        modality = 'ir' if index % 2 else 'rgb'
        sample.set_metainfo(
            {
                'index': index, 'pid': int(rng.integers(5)), 'camera': int(rng.integers(3)),
                'modality': modality, 'is_query': modality == 'ir', 'seed': 0, 'length': 10 + index,
            }
        )  # fmt: skip
        sample.static, sample.dynamic = torch.from_numpy(rng.normal(size=(2, d)).astype(np.float32))
        sample.feature = torch.cat([sample.static, sample.dynamic])
        samples.append(sample)
    return samples


def _expected(samples, query, gallery, **options):
    sides = []
    for modality in (query, gallery):
        chosen = [s for s in samples if s.modality == modality]
        sides += [
            torch.stack([s.feature for s in chosen]),
            [s.pid for s in chosen],
            [s.camera for s in chosen],
        ]
    metrics = rank_metrics(*sides, **options)
    metrics.pop('valid_queries')
    return metrics


def test_measures_both_directions_and_their_mean():
    samples = _samples()
    metric = METRICS.build({'type': 'ReIDMetric', 'protocol': 'hitsz_vcm', 'ranks': (1, 5)})
    metric.process({}, samples[:25])
    metric.process({}, [sample.to_dict() for sample in samples[25:]])
    values = metric.evaluate(len(samples))
    rgb2ir = _expected(samples, 'rgb', 'ir', ranks=(1, 5), drop_same_camera=True)
    ir2rgb = _expected(samples, 'ir', 'rgb', ranks=(1, 5), drop_same_camera=True)
    expected = {f'rgb2ir/{k}': v for k, v in rgb2ir.items()} | {f'ir2rgb/{k}': v for k, v in ir2rgb.items()}
    expected |= {f'mean/{k}': (rgb2ir[k] + ir2rgb[k]) / 2 for k in rgb2ir}
    assert values == pytest.approx(expected)
    assert metric.results == []


def test_through_the_evaluator():
    samples = _samples()
    evaluator = Evaluator(ReIDMetric())
    evaluator.process(data_samples=samples, data_batch={})
    values = evaluator.evaluate(len(samples))
    assert set(values) == {
        f'{direction}/{measure}'
        for direction in ('rgb2ir', 'ir2rgb', 'mean')
        for measure in ('mAP', 'mINP', 'Rank-1', 'Rank-5', 'Rank-10', 'Rank-20')
    }
    assert all(0 <= value <= 1 for value in values.values())


def test_order_and_repetition_of_records_do_not_matter():
    samples = _samples()
    metric = ReIDMetric()
    metric.process({}, samples)
    expected = metric.compute_metrics(metric.results)
    shuffled = [metric.results[i] for i in np.random.default_rng(0).permutation(len(samples))]
    assert metric.compute_metrics(shuffled + shuffled[:7]) == expected


def test_measures_every_ranking_that_the_parts_allow():
    samples = _samples()
    rng = np.random.default_rng(1)
    for sample in samples:
        sample.neck_static, sample.neck_dynamic = torch.from_numpy(rng.normal(size=(2, 4)).astype(np.float32))
    metric = ReIDMetric(by_ranking=True, rerank={'k1': 5, 'k2': 2}, ranks=(1,))
    metric.process({}, samples)
    metric.evaluate(len(samples))
    unit = torch.nn.functional.normalize
    for ranking, feature in {
        'neck_both': lambda s: torch.cat([unit(s.neck_static, dim=0), unit(s.neck_dynamic, dim=0)]),
        'neck_static': lambda s: unit(s.neck_static, dim=0),
        'neck_dynamic': lambda s: unit(s.neck_dynamic, dim=0),
        'raw_both': lambda s: torch.cat([unit(s.static, dim=0), unit(s.dynamic, dim=0)]),
        'raw_static': lambda s: unit(s.static, dim=0),
        'raw_dynamic': lambda s: unit(s.dynamic, dim=0),
        'vld': lambda s: torch.cat([s.static, s.dynamic]),
    }.items():
        for sample in samples:
            sample.feature = feature(sample)
        plain = ReIDMetric(ranks=(1,))
        plain.process({}, samples)
        assert metric.rankings[ranking] == pytest.approx(plain.evaluate(len(samples))), ranking
    assert len(metric.rankings) == 7


def test_rankings_of_models_without_parts_are_left_out():
    samples = _samples()
    metric = ReIDMetric(by_ranking=True)
    metric.process({}, samples)  # static and dynamic, but nothing after necks
    metric.evaluate(len(samples))
    assert metric.rankings.keys() == {'raw_both', 'raw_static', 'raw_dynamic', 'vld'}


def test_bupt_protocol_has_four_directions():
    samples = _samples()
    for sample in samples:
        sample.set_metainfo({'is_query': sample.index % 4 < 2})
    metric = ReIDMetric(protocol='bupt_campus', ranks=(1,))
    metric.process({}, samples)
    values = metric.compute_metrics(metric.results)
    assert {key.split('/')[0] for key in values} == {'rgb2ir', 'ir2rgb', 'rgb2rgb', 'ir2ir', 'mean'}
    assert values['mean/mAP'] == pytest.approx((values['rgb2ir/mAP'] + values['ir2rgb/mAP']) / 2)


def test_dumps_features(tmp_path):
    samples = _samples()
    path = tmp_path / 'features.safetensors'
    metric = ReIDMetric(dump=path)
    metric.process({}, samples[::-1])
    metric.evaluate(len(samples))
    table = load_features(path)
    np.testing.assert_array_equal(table.index, np.arange(len(samples)))
    np.testing.assert_array_equal(table.pid, [s.pid for s in samples])
    np.testing.assert_array_equal(table.camera, [s.camera for s in samples])
    np.testing.assert_array_equal(table.length, [s.length for s in samples])
    assert table.modalities == [s.modality for s in samples]
    np.testing.assert_array_equal(table.is_query, [s.is_query for s in samples])
    for name in ('static', 'dynamic', 'feature'):
        np.testing.assert_array_equal(getattr(table, name), torch.stack([s.get(name) for s in samples]))


def test_keeps_no_batch_alive_and_no_halves_without_dump():
    batch = torch.randn(3, 8)
    sample = _samples(1)[0].to_dict() | {'feature': batch[1]}
    metric = ReIDMetric()
    metric.process({}, [sample])
    (record,) = metric.results
    assert 'static' not in record
    assert record['feature'].base is None
    batch.zero_()
    assert record['feature'].any()


def test_says_what_is_missing():
    sample = _samples(1)[0].to_dict()
    del sample['camera'], sample['feature']
    with pytest.raises(ValueError, match='a data sample lacks feature, camera'):
        ReIDMetric().process({}, [sample])
    with pytest.raises(ValueError, match='no tracklet was evaluated'):
        ReIDMetric().compute_metrics([])


def _measured(samples, **options):
    metric = ReIDMetric(**options)
    metric.process({}, samples)
    return metric.evaluate(len(samples))


def _with_pids(samples, pids):
    """The samples with other person ids; None for a sample without one."""
    for sample, pid in zip(samples, pids, strict=True):
        if pid is None:
            sample.pop('pid')
        else:
            sample.set_metainfo({'pid': pid})
    return samples


def _warnings(monkeypatch):
    lines = []
    monkeypatch.setattr(
        'dscreid.evaluation.metric.print_log',
        lambda text, logger, level=logging.INFO: lines.append(text) if level == logging.WARNING else None,
    )
    return lines


def test_without_any_person_id_features_are_written_and_nothing_is_measured(tmp_path, monkeypatch):
    warnings, dump = _warnings(monkeypatch), tmp_path / 'f.safetensors'
    samples = _with_pids(_samples(10), [None] * 10)
    assert _measured(samples, dump=dump, per_query=tmp_path / 'q.csv', confidence=0.9) == {}
    assert warnings == ['no evaluation: no tracklet has a person id']
    table = load_features(dump)
    assert table.pid.tolist() == [-1] * 10
    np.testing.assert_array_equal(table.feature, _features(samples))
    assert not (tmp_path / 'q.csv').exists()


def test_tracklets_without_a_person_id_are_distractors(monkeypatch):
    warnings = _warnings(monkeypatch)
    pids = [sample.pid for sample in _samples()]
    unknown = [None if number % 3 == 0 else pid for number, pid in enumerate(pids)]
    others = [100 + number if number % 3 == 0 else pid for number, pid in enumerate(pids)]
    expected = _measured(_with_pids(_samples(), others))
    assert warnings == []
    assert _measured(_with_pids(_samples(), unknown)) == expected
    assert len(warnings) == 1
    assert warnings[0].startswith('14 of 40 tracklets have no person id: they count as wrong answers')


def test_without_a_protocol_nothing_is_measured():
    assert _measured(_samples(), protocol=None) == {}


@pytest.mark.parametrize(
    ('pids', 'message'),
    [
        (range(40), 'hitsz_vcm rgb2ir: none of the 20 queries has a true match among the 20 gallery'),
        ([number % 2 for number in range(40)], 'hitsz_vcm rgb2ir: none of the 20 queries has a true match'),
    ],
)
def test_queries_without_any_match_are_one_sentence(pids, message):
    with pytest.raises(DatasetError, match=message):
        _measured(_with_pids(_samples(), pids))


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
@pytest.mark.parametrize('options', [{}, dict(rerank={}), dict(query_expansion={}), dict(protocol=None)])
def test_features_that_are_not_finite_are_one_sentence(tmp_path, value, options):
    samples, dump = _samples(), tmp_path / 'f.safetensors'
    samples[7].feature[2] = samples[9].feature[0] = value
    message = 'the features of 2 of 40 tracklets hold NaN or infinite values, the first is tracklet 7'
    with pytest.raises(TrainingError, match=message):
        _measured(samples, dump=dump, **options)
    assert not dump.exists()


def test_features_that_overflow_are_one_sentence():
    samples = _samples()
    for sample in samples:
        sample.feature *= 1e20
    with pytest.raises(EvaluationError, match='hitsz_vcm rgb2ir: features are so large'):
        _measured(samples)


def test_a_loader_that_leaves_out_tracklets_is_noticed(monkeypatch):
    warnings = _warnings(monkeypatch)
    metric = ReIDMetric()
    metric.process({}, _samples())
    metric.evaluate(42)
    assert warnings == ['the dataloader gave 40 of 42 tracklets; the others are missing in the evaluation']


def _directions(samples):
    """Name, query and gallery samples of HITSZ-VCM's directions."""
    sides = {modality: [s for s in samples if s.modality == modality] for modality in ('rgb', 'ir')}
    return [('rgb2ir', sides['rgb'], sides['ir']), ('ir2rgb', sides['ir'], sides['rgb'])]


def _facts(samples):
    return [[s.pid for s in samples], [s.camera for s in samples]]


def _features(samples):
    return torch.stack([s.feature for s in samples])


def test_expansion_and_reranking_are_those_of_each_direction():
    samples = _samples(60)
    metric = ReIDMetric(rerank=dict(k1=8, lambda_value=0.5), query_expansion=dict(topk=3, alpha=1.0))
    metric.process({}, samples)
    values = metric.compute_metrics(metric.results)
    for name, query, gallery in _directions(samples):
        expanded = expand_queries(_features(query), _features(gallery), QueryExpansion(3, 1.0))
        scores = Reranked(expanded, _features(gallery), Reranking(8, 6, 0.5))
        expected = summarize(rank_queries(scores, *_facts(query), *_facts(gallery), drop_same_camera=True))
        expected.pop('valid_queries')
        assert {key: values[f'{name}/{key}'] for key in expected} == pytest.approx(expected)


@pytest.mark.parametrize('option', ['rerank', 'query_expansion'])
def test_options_change_the_figures_and_are_logged(option, monkeypatch):
    samples = _samples(60)
    lines = []
    monkeypatch.setattr('dscreid.evaluation.metric.print_log', lambda text, **options: lines.append(text))
    figures = []
    for metric in (ReIDMetric(), ReIDMetric(**{option: {}})):
        lines.clear()
        metric.process({}, samples)
        figures.append(metric.compute_metrics(metric.results))
    assert figures[0]['mean/mAP'] != figures[1]['mean/mAP']
    assert lines[0].startswith(f'{option} is on, which the published tables do not use')
    assert all(line.startswith('hitsz_vcm ') for line in lines[1:])


def test_single_queries_are_written(tmp_path):
    samples = _samples()
    path = tmp_path / 'queries.csv'
    metric = ReIDMetric(per_query=path)
    metric.process({}, samples[::-1])
    values = metric.evaluate(len(samples))
    with path.open(newline='') as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(samples)
    for name, query, _ in _directions(samples):
        written = [row for row in rows if row['direction'] == name]
        assert [int(row['query']) for row in written] == [s.index for s in query]
        assert [int(row['length']) for row in written] == [10 + s.index for s in query]
        precision = [float(row['AP']) for row in written if row['AP']]
        assert np.mean(precision) == pytest.approx(values[f'{name}/mAP'])
        hits = [int(row['first_hit']) <= 5 for row in written if row['first_hit']]
        assert np.mean(hits) == pytest.approx(values[f'{name}/Rank-5'])


def test_confidence_intervals():
    samples = _samples(80)
    metric = ReIDMetric(ranks=(1,), confidence=0.9, bootstrap_repeats=200, bootstrap_seed=4)
    metric.process({}, samples)
    values = metric.compute_metrics(metric.results)
    figures, intervals = split_intervals(values)
    plain = ReIDMetric(ranks=(1,))
    plain.process({}, samples)
    assert figures == plain.compute_metrics(plain.results)
    ranks, pids = {}, {}
    for name, query, gallery in _directions(samples):
        scores = InnerProduct(_features(query), _features(gallery))
        ranks[name] = rank_queries(scores, *_facts(query), *_facts(gallery), drop_same_camera=True)
        pids[name] = np.array([s.pid for s in query])
    assert intervals == bootstrap_intervals(ranks, pids, (1,), 0.9, 200, 4)
    assert set(intervals) == set(figures)
    assert all(low <= figures[name] <= high for name, (low, high) in intervals.items())


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        (dict(rerank=dict(k1=0)), 'k1 and k2 must be integers from 1'),
        (dict(query_expansion=dict(topk=0)), 'topk must be an integer from 1'),
        (dict(device='gpu'), "device 'gpu' cannot be used; rank on 'cpu' or 'cuda'"),
        (dict(confidence=95), 'confidence must lie between 0 and 1'),
        (dict(per_query='queries.txt'), r'queries\.txt: .* written as \.csv files'),
    ],
)
def test_options_out_of_range_are_refused_at_once(wrong, message):
    with pytest.raises(ConfigError, match=message):
        ReIDMetric(**wrong)


@pytest.mark.skipif(torch.cuda.is_available(), reason='needs a machine without a GPU')
def test_an_absent_gpu_is_refused_at_once():
    with pytest.raises(ConfigError, match="device 'cuda' cannot be used"):
        ReIDMetric(device='cuda')


def test_an_unknown_protocol_is_refused_at_once():
    with pytest.raises(ConfigError, match='unknown evaluation protocol'):
        ReIDMetric(protocol='mars')


def test_a_query_in_the_gallery_does_not_find_itself():
    """Every query also stands in the gallery, nearer to itself than to the tracklets of its person."""
    samples = _samples(n=40, d=8)
    for row, sample in enumerate(samples):
        sample.set_metainfo({'is_query': row < 20, 'same_as': row % 20, 'pid': row % 5})
        if row >= 20:
            sample.feature = samples[row - 20].feature.clone()
            sample.set_metainfo({'modality': samples[row - 20].modality})
    metric = METRICS.build(dict(type='ReIDMetric', protocol='bupt_campus'))
    metric.process(None, samples)
    measured = metric.evaluate(40)
    for sample in samples:  # as if each were another tracklet
        sample.set_metainfo({'same_as': sample.index})
    metric.process(None, samples)
    naive = metric.evaluate(40)
    assert naive['rgb2rgb/Rank-1'] == naive['ir2ir/Rank-1'] == 1
    assert measured['rgb2rgb/Rank-1'] < 0.6
    assert measured['ir2ir/Rank-1'] < 0.6
    assert measured['rgb2ir/mAP'] == naive['rgb2ir/mAP']
