"""Forecasts against arrays that are counted by hand, and against the peak of a real clustering."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from dscreid.errors import ResourceError
from dscreid.neighbors import NeighborSearch
from dscreid.pseudo_labels import ClusterLabeler, DSLULabeler, JointLabeler, MatchingLabeler
from dscreid.pseudo_labels.clustering.forecast import (
    ClusteringProblem,
    Forecast,
    check_fits,
    forecast_round,
    memory_errors,
)
from dscreid.structures import Modality

COUNTS = {Modality.RGB: 300, Modality.IR: 150}
EXACT = NeighborSearch()
GIB = 2**30


def test_labelers_tell_what_they_cluster():
    plain = ClusterLabeler(k1=20, infrared=dict(k1='auto'))
    assert plain.problems(COUNTS, 64) == [ClusteringProblem(300, 64, 20), ClusteringProblem(150, 64, None)]
    for kind in (DSLULabeler, MatchingLabeler):
        labeler = kind(clustering=dict(type='ClusterLabeler', k1=20))
        assert labeler.problems(COUNTS, 64) == [ClusteringProblem(300, 64, 20), ClusteringProblem(150, 64, 20)]
    assert JointLabeler().problems(COUNTS, 64) is None


def test_arrays_are_counted_once_for_each_set_and_descriptors_for_all():
    one, other = ClusteringProblem(50_000, 1536, 30), ClusteringProblem(100, 1536, 30)
    # descriptors, normalized descriptors, two blocks of similarities, similarity and index of the neighbors
    least = 2 * 50_000 * 1536 * 4 + 2 * 2**24 * 4 + 50_000 * 30 * 12
    assert least <= forecast_round([one], EXACT).host_bytes < 1.5 * least
    assert forecast_round([one], EXACT).device_bytes == 0
    both = forecast_round([one, other], EXACT)
    assert both.host_bytes == forecast_round([one], EXACT).host_bytes + 100 * 1536 * 4


def test_a_million_on_a_gpu_fit_into_80_gb_and_the_host_holds_no_square():
    found = forecast_round([ClusteringProblem(10**6, 1536, 30)] * 2, EXACT, device='cuda')
    assert 2 * 6.144e9 + 6.144e9 < found.device_bytes < 80e9
    assert 6.144e9 < found.host_bytes < 20e9


@pytest.mark.parametrize('num', [0, 1, 2])
@pytest.mark.parametrize('search', [EXACT, NeighborSearch('IVF9,Flat')])
def test_hardly_any_tracklets(num, search):
    for k1 in (30, None):
        assert (forecast_round([ClusteringProblem(num, 8, k1)], search) == Forecast()) is (num == 0)


def test_only_certain_needs_raise_an_error():
    problems = [ClusteringProblem(1000, 64, 30)]
    forecast = Forecast(4 * GIB, 3 * GIB)
    assert check_fits(forecast, problems, 4 * GIB, 3 * GIB) is None
    assert check_fits(forecast, problems, None, None) is None
    warning = check_fits(forecast, problems, 2 * GIB)
    assert 'needs about 4.0 GiB of main memory, but only 2.0 GiB is available' in warning
    with pytest.raises(ResourceError, match=r'N x D = 1,000 x 64, k1 = 30, needs about 4.0 GiB .* 1.0 GiB .*k1'):
        check_fits(forecast, problems, GIB)
    with pytest.raises(ResourceError, match=r"GPU memory, but only 1.0 GiB.*index='HNSW32'"):
        check_fits(forecast, problems, 9 * GIB, GIB)


@pytest.mark.parametrize(
    ('error', 'kind'),
    [
        (MemoryError(), 'main memory'),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
            'main memory',
        ),
        (torch.OutOfMemoryError('CUDA out of memory'), 'GPU memory'),
    ],
)
def test_running_out_of_memory_is_reported_with_sizes(error, kind):
    with (
        pytest.raises(ResourceError, match=f'1,000 x 64, k1 = auto, ran out of {kind}'),
        memory_errors([ClusteringProblem(1000, 64, None)], GIB),
    ):
        raise error


def test_a_real_allocation_that_fails_is_reported():
    with (
        pytest.raises(ResourceError, match='the tracklets ran out of main memory'),
        memory_errors(None, None),
    ):
        torch.empty(2**55)


def test_other_errors_pass():
    with pytest.raises(RuntimeError, match='shapes'), memory_errors(None, None):
        raise RuntimeError('shapes do not fit')


_MEASURE = """
import sys
import torch
from machine import peak_bytes_of
from pseudo_labels import make_features
from dscreid.pseudo_labels import dbscan, jaccard_distance
torch.set_num_threads(1)
features = make_features(sys.argv[1], 4000, 512)
dbscan(jaccard_distance(features[:50]))
print(peak_bytes_of(lambda: dbscan(jaccard_distance(features))))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path('/proc/self/clear_refs').exists(), reason='peaks are read from /proc')
@pytest.mark.parametrize('kind', ['clustered', 'random'])
def test_the_peak_of_a_clustering_is_within_a_factor_of_two(kind):
    folder = Path(__file__).parents[3]
    code = f'import sys; sys.path[:0] = [{str(folder / "tools/benchmarks")!r}, {str(folder)!r}]' + _MEASURE
    run = subprocess.run([sys.executable, '-c', code, kind], capture_output=True, text=True, check=True)
    measured = int(run.stdout.split()[-1])
    descriptors = 4000 * 512 * 4  # exist before
    expected = forecast_round([ClusteringProblem(4000, 512, 30)], EXACT).host_bytes - descriptors
    assert measured / 2 < expected < 2 * measured
