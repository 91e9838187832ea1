"""Searches shared by two and four processes, against the search of one process."""

from types import SimpleNamespace
from unittest import mock

import pytest
import torch
from mmengine.dist import get_rank
from mmengine.logging import MMLogger

from dscreid.distributed import from_main_process, gather_objects
from dscreid.engine.hooks import ClusterHook
from dscreid.errors import DscreidError, LabelingError
from dscreid.neighbors import (
    NeighborSearch,
    current_search,
    exact,
    exact_neighbors,
    search_with,
    shares,
    with_shared_searches,
)
from dscreid.pseudo_labels import build_labeler
from dscreid.pseudo_labels.clustering.forecast import memory_errors
from dscreid.structures import TrackletFeatures
from dscreid.utils.chunks import slices

pytestmark = pytest.mark.usefixtures('one_thread_throughout')


def blocks_of(rows, columns=1000):
    """Small blocks, which a search of few tracklets would not have."""

    def blocks(queries, gallery):
        return slices(len(queries), rows), slices(len(gallery), columns)

    return mock.patch.multiple(exact, search_blocks=blocks), mock.patch.multiple(shares, search_blocks=blocks)


def points(num, seed, dtype=torch.float32, dimension=5):
    """Vectors of small integers: many exact ties."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-2, 3, (num, dimension), generator=generator).to(dtype)


class Recorder:
    """Stands in for the search of rows, and knows how many rows this process has searched."""

    def __init__(self):
        self.rows = []

    def __call__(self, queries, gallery, k, row_blocks, *others, **options):
        self.rows.append(sum(block.stop - block.start for block in row_blocks))
        return exact.neighbors_of_rows(queries, gallery, k, row_blocks, *others, **options)


def recorded(blocks, function):
    """Result of a function, and how many rows each process has searched in each of its shared searches."""
    recorder = Recorder()
    with blocks[0], blocks[1], mock.patch.object(shares, 'neighbors_of_rows', recorder):
        result = function()
    return result, gather_objects(recorder.rows)


def searches(sizes, calls):
    def function():
        return with_shared_searches(lambda: [current_search()(*call) for call in calls])

    return recorded(blocks_of(*sizes), function)


def check(ranks, sizes, calls):
    """Compare with one process; returns how many rows each process has searched."""
    answers = ranks.run(searches, sizes, calls)
    blocks = blocks_of(*sizes)
    with blocks[0], blocks[1]:
        expected = [exact_neighbors(*call) for call in calls]
    for found, _ in answers:
        for pair, truth in zip(found, expected, strict=True):
            assert torch.equal(pair[0], truth[0])
            assert torch.equal(pair[1], truth[1])
    return answers[0][1]


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_the_result_is_that_of_one_process(ranks, dtype):
    gallery, queries = points(41, 0, dtype), points(37, 1, dtype)
    calls = [(queries, gallery, 6), (gallery, gallery, 41, True), (queries.T.contiguous().T, gallery, 1)]
    searched = check(ranks, (4,), calls)
    assert torch.tensor(searched).sum(dim=0).tolist() == [37, 41, 37]
    assert min(map(min, searched)) >= 37 // len(searched) - 4


def test_tiles_of_the_gallery(ranks):
    gallery = points(30, 2)
    assert torch.tensor(check(ranks, (3, 7), [(gallery, gallery, 9, True)])).sum() == 30


def test_noise_has_the_same_bits(ranks):
    noise = torch.randn(300, 96, generator=torch.Generator().manual_seed(2))
    check(ranks, (32,), [(noise, noise, 20, True), (noise[:250], noise, 300)])


def test_a_search_of_few_blocks_for_each_process_is_done_alone(ranks):
    processes, gallery = len(ranks.processes), points(9, 4)
    few, enough = points(3 * (2 * processes - 1), 3), points(3 * 2 * processes, 3)
    assert not any(check(ranks, (3,), [(few, gallery, 2), (few[:0], gallery, 2)]))
    assert check(ranks, (3,), [(enough, gallery, 2)]) == [[6]] * processes


def search_unshared():
    everything = points(12, 7)

    def function():
        with search_with(NeighborSearch(shared=False)):
            return current_search()(everything, everything, 2)

    def both():
        with_shared_searches(function)
        return from_main_process(lambda: current_search()(everything, everything, 2))

    return recorded(blocks_of(1), both)


def test_nothing_is_shared_if_it_is_off_or_afterwards(ranks):
    assert not any(ranks.run(search_unshared)[0][1])


def failing(who):
    """Search until somebody fails, and say what this process sees of it; who: a rank, or None for the labeler."""
    everything, fails = points(12, 5), get_rank() == who

    def function():
        with memory_errors(None, None):
            current_search()(everything, everything, 2)
        raise LabelingError('nothing is near')

    def search(*arguments, **options):
        if fails:
            raise MemoryError if who else RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")
        return exact.neighbors_of_rows(*arguments, **options)

    blocks = blocks_of(1)
    with blocks[0], blocks[1], mock.patch.object(shares, 'neighbors_of_rows', search):
        try:
            with_shared_searches(function)
        except DscreidError as error:
            return str(error)
    return None


def failing_to_allocate(who):
    def no_memory(request):
        raise MemoryError

    with mock.patch.object(shares, '_buffers', no_memory if get_rank() == who else shares._buffers):
        return failing(None)


def test_an_error_of_the_labeler_reaches_all(ranks):
    assert ranks.run(failing, None) == ['nothing is near'] * len(ranks.processes)
    check(ranks, (2,), [(points(12, 7), points(15, 8), 3)])


@pytest.mark.parametrize(('function', 'who'), [(failing, 0), (failing, 1), (failing_to_allocate, 1)])
def test_lack_of_memory_anywhere_is_said_by_all_and_leaves_none_waiting(ranks, function, who):
    messages = ranks.run(function, who)
    assert len(set(messages)) == 1
    assert 'ran out of main memory' in messages[0]
    check(ranks, (2,), [(points(12, 7), points(15, 8), 3)])


def people(seed):
    """Tracklets of twelve people."""
    centers = torch.randn(12, 32, generator=torch.Generator().manual_seed(9))
    noise = torch.randn(2, 96, 32, generator=torch.Generator().manual_seed(seed))
    return TrackletFeatures(*(centers.repeat_interleave(8, dim=0) + 0.3 * noise))


def label(features):
    """Labels as the hook makes them."""
    hook = ClusterHook(pipeline=[], labelers=[dict(type='DSLULabeler')])
    runner = SimpleNamespace(epoch=0, logger=MMLogger.get_current_instance())
    return recorded(blocks_of(7), lambda: hook._label(runner, *features))


def lost(queries):
    """A failing exchange must not look like an error after which a run goes on."""

    def broken(*arguments, **options):
        raise RuntimeError("can't allocate memory")

    with mock.patch.object(shares, '_take_part', broken), mock.patch.object(shares, '_announced'):
        token = shares._OTHERS_SERVE.set(True)
        try:
            with memory_errors(None, None):
                shares.shared_exact_neighbors(queries, queries, 2)
        except ConnectionError as error:
            return str(error)
        finally:
            shares._OTHERS_SERVE.reset(token)
    return None


def test_a_failing_exchange_ends_the_process():
    blocks = blocks_of(1)
    with blocks[0], blocks[1]:
        assert 'failed to share' in lost(points(12, 5))


def test_labels_of_the_hook_are_those_of_one_process(ranks):
    features = people(10), people(11)
    blocks = blocks_of(7)
    with blocks[0], blocks[1]:
        expected = build_labeler(dict(type='DSLULabeler'), 'test')(*features)
    assert expected.rgb.max() > 0
    answers = ranks.run(label, features)
    for labels, _ in answers:
        assert (labels.rgb == expected.rgb).all()
        assert (labels.ir == expected.ir).all()
    searched = torch.tensor(answers[0][1])
    assert searched.shape[1] > 3
    assert (searched.sum(dim=0) == 96).all()


def test_without_other_processes_the_function_is_called():
    everything = points(4, 0)
    found = with_shared_searches(lambda: current_search()(everything, everything, 1, True))
    assert found[1].tolist() == [[0], [1], [2], [3]]
