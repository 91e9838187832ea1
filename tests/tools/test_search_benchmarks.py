"""The benchmarks of pseudo labels, evaluation and loading, at toy sizes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest


def test_pseudo_labels_beside_the_dense_reference(run_benchmark):
    sizes = ('--sizes', 200, 400, '--dim', 32, '--repeats', 1, '--reference-up-to', 200)
    values, text = run_benchmark('pseudo_labels', *sizes)
    results = values['results']
    assert [(result['features'], result['size']) for result in results] == [
        (kind, size) for kind in ('clustered', 'random') for size in (200, 400)
    ]
    assert all(result[step] > 0 for result in results for step in ('knn', 'jaccard', 'dbscan', 'dslu'))
    assert ['reference' in result for result in results] == [True, False, True, False]
    lines = text.splitlines()
    assert [line.split('|')[-2].strip() for line in lines if line.startswith('| clustered | 200')][1] == '1.0000'
    assert sum('Exponent of N' in line for line in lines) == 2


@pytest.mark.parametrize('search', ['exact', 'IVF4,Flat'])
def test_pseudo_labels_of_each_search(run_benchmark, search):
    sizes = ('--features', 'clustered', '--sizes', 300, '--dim', 32, '--repeats', 1, '--reference-up-to', 0)
    values, text = run_benchmark('pseudo_labels', *sizes, '--search', search)
    assert f'search {search}' in text
    assert values['results'][0]['forecast'] > 0


def test_unification_beside_its_products(run_benchmark):
    values, text = run_benchmark('unification', '--sizes', 200, 300, '--dim', 32, '--rounds', 3)
    assert [result['size'] for result in values['results']] == [200, 300]
    assert all(result[key] > 0 for result in values['results'] for key in ('products', 'dslu', 'ratio'))
    assert text.count('| 200 |') == text.count('| 300 |') == 1


def test_labels_of_an_index_beside_those_of_exact_search(run_benchmark):
    pytest.importorskip('faiss')
    indexes = ('--indexes', 'IVF8,Flat nprobe=8', 'IVF8,Flat nprobe=1')
    values, text = run_benchmark('approximate_search', '--size', 400, '--dim', 32, *indexes)
    exact, whole, part = values['results']
    assert exact['recall'] == whole['recall'] == 1 > part['recall']
    assert exact['ari_exact'] == whole['ari_exact'] == 1
    assert '| IVF8,Flat nprobe=1 |' in text


def test_evaluation_beside_sorting(run_benchmark):
    values, text = run_benchmark('evaluation', '--sizes', 100, 200, '--dim', 16, '--repeats', 1)
    assert len(values['measured']) > 5
    assert all(step['seconds']['200'] > 0 for step in values['measured'].values())
    assert '| rank_metrics' in text


def test_loading_beside_the_plain_way(run_benchmark, load_tool, monkeypatch, tmp_path):
    tool = load_tool('benchmarks/data.py')
    arguments = ('--sizes', '32x16', '--people', '1', '--repeats', '1', '--output', str(tmp_path))
    monkeypatch.setattr('sys.argv', ['data', *arguments])
    tool.main()
    values = json.loads((tmp_path / 'data.json').read_text())['results']
    assert set(values) >= {'loading', 'decoding', 'packing'}
    assert '32x16' in (tmp_path / 'data.md').read_text()


def test_a_gallery_with_and_without_an_index(run_benchmark):
    pytest.importorskip('lancedb')
    sizes = ('--tracklets', 1_200, '--size', 8, '--queries', 3, '--probes', 1_000, '--per-transaction', 500)
    values, text = run_benchmark('gallery', *sizes)
    for kind in ('random', 'persons'):
        recall = {row['name']: row['recall'] for row in values[kind]}
        assert recall['exact search'] == recall['index, 1000 probes'] == 1
        assert all(row['seconds'] > 0 for row in values[kind])
    assert '1,200 tracklets' in text


def test_linking_finds_the_planted_persons(run_benchmark):
    values, text = run_benchmark('linking', '--sizes', 100, 200, '--size', 64)
    assert [row['count'] for row in values['linking']] == [100, 200]
    assert all(row['right'] > 0.9 for row in values['linking'])
    assert '| 200 |' in text


@pytest.mark.slow
def test_a_gallery_on_a_server(run_benchmark, milvus_server):
    from pymilvus import MilvusClient

    sizes = ('--tracklets', 1_200, '--size', 8, '--queries', 2, '--probes', 1_000)
    values, _ = run_benchmark('gallery', *sizes, '--server', milvus_server)
    for kind in ('random', 'persons'):
        assert {row['recall'] for row in values[kind] if row['name'].startswith('index')} == {1}
    assert not any(name.startswith('benchmark') for name in MilvusClient(milvus_server).list_collections())


@pytest.mark.slow
def test_a_search_alone_and_shared(tmp_path):
    tool = Path(__file__).parents[2] / 'tools' / 'benchmarks' / 'search_shares.py'
    command = [sys.executable, tool, '--dim', '8', '--rounds', '2', '--out', tmp_path / 'out', '--sizes']
    subprocess.run([*command, '7300', '7200'], check=True, capture_output=True)
    results = json.loads((tmp_path / 'out.json').read_text())['results']['results']
    assert [result['size'] for result in results] == [7300, 7200]
    assert all(result[key] > 0 for result in results for key in ('alone', 'shared', 'speedup', 'all_threads'))
    refused = subprocess.run([*command, '7000'], check=False, capture_output=True, text=True)
    assert refused.returncode == 2
    assert 'take more tracklets' in refused.stderr
