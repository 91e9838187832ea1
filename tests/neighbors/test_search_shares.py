"""Searches shared by two and four processes, against the search of one process."""

from unittest import mock

import pytest
import torch
from mmengine.dist import get_dist_info

from dscreid.distributed import gather_objects
from dscreid.errors import LabelingError
from dscreid.neighbors import current_search, exact, exact_neighbors, shares, with_shared_searches
from dscreid.pseudo_labels import build_labeler
from dscreid.structures import TrackletFeatures
from dscreid.utils.chunks import slices


def small_blocks(size):
    """Blocks of few rows, which a search of few tracklets would not have."""
    return mock.patch.object(exact, 'row_chunks', lambda num_rows, num_columns: slices(num_rows, size))


def points(num, seed, dtype=torch.float32, dimension=5):
    """Vectors of small integers: many exact ties."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-2, 3, (num, dimension), generator=generator).to(dtype)


def searches(size, calls):
    """Results of several searches on all processes, and how many rows each process has searched for each."""
    searched = []

    def recorded(queries, gallery, k, row_blocks, *others, **options):
        searched.append(sum(block.stop - block.start for block in row_blocks))
        return exact.neighbors_of_rows(queries, gallery, k, row_blocks, *others, **options)

    with small_blocks(size), mock.patch.object(shares, 'neighbors_of_rows', recorded):
        found = with_shared_searches(lambda: [current_search()(*call) for call in calls])
    return found, gather_objects(searched)


def check(ranks, size, calls):
    answers = ranks.run(searches, size, calls)
    with small_blocks(size):
        expected = [exact_neighbors(*call) for call in calls]
    for found, _ in answers:
        for pair, truth in zip(found, expected, strict=True):
            assert torch.equal(pair[0], truth[0])
            assert torch.equal(pair[1], truth[1])
    return answers[0][1]


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_the_result_is_that_of_one_process(ranks, dtype):
    gallery, queries = points(41, 0, dtype), points(37, 1, dtype)
    searched = check(ranks, 4, [(queries, gallery, 6), (gallery, gallery, 41, True), (queries.flip(0), gallery, 1)])
    assert torch.tensor(searched).sum(dim=0).tolist() == [37, 41, 37]
    assert min(map(min, searched)) >= 37 // len(searched) - 4


def test_noise_has_the_same_bits(ranks):
    noise = torch.randn(300, 96, generator=torch.Generator().manual_seed(2))
    check(ranks, 32, [(noise, noise, 20, True), (noise[:250], noise, 300)])


def test_a_search_of_few_blocks_is_done_alone(ranks):
    few, gallery = points(3, 3), points(9, 4)
    searched = check(ranks, 3, [(few, gallery, 2), (few[:0], gallery, 2)])
    assert not any(searched)


def fail_after_a_search(num):
    def function():
        current_search()(points(num, 5), points(num, 6), 2)
        raise LabelingError('nothing is near')

    with small_blocks(1):
        try:
            with_shared_searches(function)
        except LabelingError as error:
            return str(error)
    return None


def test_an_error_reaches_all_and_ends_the_sharing(ranks):
    world_size = len(ranks.processes)
    assert ranks.run(fail_after_a_search, 12) == ['nothing is near'] * world_size
    check(ranks, 2, [(points(12, 7), points(15, 8), 3)])


def label(features, size):
    labeler = build_labeler(dict(type='DSLULabeler'), 'test')
    with small_blocks(size):
        labels = with_shared_searches(lambda: labeler(*features))
    return get_dist_info()[0], labels


def test_labels_are_those_of_one_process(ranks):
    generator = torch.Generator().manual_seed(9)
    people = torch.randn(12, 32, generator=generator)

    def tracklets(seed):
        noise = torch.randn(2, 96, 32, generator=torch.Generator().manual_seed(seed))
        return TrackletFeatures(*(people.repeat_interleave(8, dim=0) + 0.3 * noise))

    features = tracklets(10), tracklets(11)
    with small_blocks(7):
        expected = build_labeler(dict(type='DSLULabeler'), 'test')(*features)
    assert expected.rgb.max() > 0
    for _, labels in ranks.run(label, features, 7):
        for name in ('rgb', 'ir'):
            assert (getattr(labels, name) == getattr(expected, name)).all()


def test_without_other_processes_the_function_is_called():
    assert with_shared_searches(lambda: current_search()(points(4, 0), points(4, 0), 1, True)[1].tolist()) == [
        [0], [1], [2], [3],
    ]  # fmt: skip
