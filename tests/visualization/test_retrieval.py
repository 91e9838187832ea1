import itertools

import cv2
import numpy as np
import pytest

from dscreid.errors import DscreidError
from dscreid.evaluation import protocol_directions
from dscreid.visualization import (
    ReportRun,
    RetrievalExample,
    RetrievalGallery,
    TrackletPictures,
    draw_retrieval,
    retrieval_examples,
    save_figure,
)
from dscreid.visualization.retrieval import Hit, choose_queries, retrieval_html


def brute_force_ranking(table, query, drop_same_camera):
    """(row, correct) of the whole gallery, nearest first."""
    kept = []
    for row in np.flatnonzero(table.is_query != table.is_query[query]):
        same = table.pid[row] == table.pid[query]
        if not (drop_same_camera and same and table.camera[row] == table.camera[query]):
            kept.append((-float(table.feature[query] @ table.feature[row]), row, bool(same)))
    return [(row, same) for _, row, same in sorted(kept)]


def test_ranks_and_frames_are_those_of_the_protocol(features):
    tables = [features(seed, noise) for seed, noise in ((1, 2.0), (2, 0.5))]
    runs = [ReportRun('before', {}, tables[0]), ReportRun('after', {}, tables[1]), ReportRun('none', {})]
    examples = retrieval_examples(runs, 'hitsz_vcm', count=3, topk=5)
    assert [example.direction for example in examples] == ['rgb2ir'] * 3 + ['ir2rgb'] * 3
    for example in examples:
        assert [name for name, _ in example.lists] == ['before', 'after']
        for table, (_, hits) in zip(tables, example.lists, strict=True):
            expected = brute_force_ranking(table, example.index, drop_same_camera=True)[:5]
            assert [(hit.index, hit.correct) for hit in hits] == expected
            for hit in hits:
                assert (hit.pid, hit.camera) == (table.pid[hit.index], table.camera[hit.index])
                assert hit.similarity == pytest.approx(float(table.feature[example.index] @ table.feature[hit.index]))
            assert example.pid == table.pid[example.index]


def test_queries_are_drawn_by_the_seed_alone_and_show_each_person_once(features):
    first, second, shuffled = (
        features(1),
        features(2, 0.1),
        features(1, order=np.random.default_rng(3).permutation(32)),
    )
    chosen = []
    for table in (first, second, shuffled):
        direction = protocol_directions('hitsz_vcm', table.modalities, table.is_query)['rgb2ir']
        chosen.append(choose_queries(table, direction, 4, seed=5))
    np.testing.assert_array_equal(chosen[0], chosen[1])
    np.testing.assert_array_equal(chosen[0], chosen[2])
    pids = first.pid[chosen[0]]
    assert len(set(pids)) == 4
    assert sorted(pids) == list(pids)
    direction = protocol_directions('hitsz_vcm', first.modalities, first.is_query)['rgb2ir']
    others = [choose_queries(first, direction, 4, seed).tolist() for seed in range(5)]
    assert len({tuple(other) for other in others}) > 1
    assert len(choose_queries(first, direction, 100, seed=0)) == 8


def test_queries_without_a_match_are_passed_over(features):
    table = features()
    table.camera[:4] = 1  # person 10 is seen by camera 1 alone: nothing is left once it is dropped
    direction = protocol_directions('hitsz_vcm', table.modalities, table.is_query)['rgb2ir']
    assert 10 not in table.pid[choose_queries(table, direction, 100, seed=0)]
    kept = direction._replace(drop_same_camera=False)
    assert 10 in table.pid[choose_queries(table, kept, 100, seed=0)]


def test_rows_of_runs_may_differ_in_order(features):
    order = np.random.default_rng(0).permutation(32)
    runs = [ReportRun('a', {}, features(1)), ReportRun('b', {}, features(1, order=order))]
    for example in retrieval_examples(runs, 'hitsz_vcm'):
        assert example.lists[0][1] == example.lists[1][1]


def test_short_galleries_give_short_lists(features):
    examples = retrieval_examples([ReportRun('a', {}, features())], 'hitsz_vcm', count=1, topk=50)
    assert len(examples[0].lists[0][1]) == 15  # 16 infrared tracklets less the one of the same camera


def test_runs_on_other_test_sets_are_refused(features):
    fewer = features(order=np.arange(4, 32))
    runs = [ReportRun('a', {}, features()), ReportRun('b', {}, fewer)]
    with pytest.raises(DscreidError, match='features of "b" lack tracklet'):
        retrieval_examples(runs, 'hitsz_vcm', count=8)


def test_html_frames_follow_the_hits(features, parse):
    examples = retrieval_examples([ReportRun('run', {}, features(noise=1.5))], 'hitsz_vcm', count=2)
    page = parse(retrieval_html(RetrievalGallery(examples, lambda index: f'data:,{index}')))
    hits = [hit for example in examples for hit in example.lists[0][1]]
    states = [attributes['class'] for attributes in page.find('li')]
    assert states == ['right' if hit.correct else 'wrong' for hit in hits]
    assert {'right', 'wrong'} == set(states)
    assert page.text.count('✗') == 1 + states.count('wrong')
    images = page.find('img')
    expected = [f'data:,{i}' for e in examples for i in (e.index, *(hit.index for hit in e.lists[0][1]))]
    assert [attributes['src'] for attributes in images] == expected
    assert all(attributes['alt'] for attributes in images)


def test_each_picture_says_person_and_camera(features, parse):
    examples = retrieval_examples([ReportRun('run', {}, features(noise=1.5))], 'hitsz_vcm', count=2)
    texts = [text.strip() for text in parse(retrieval_html(RetrievalGallery(examples, str))).texts]
    shown = [(person, camera) for person, camera in itertools.pairwise(texts) if person.startswith('person')]
    expected = []
    for example in examples:
        tracklets = [(example.pid, example.camera), *((hit.pid, hit.camera) for hit in example.lists[0][1])]
        expected += [(f'person {pid}', f'camera {camera}') for pid, camera in tracklets]
    assert shown == expected


def test_unknown_persons_are_no_queries_and_are_called_unknown(features, parse):
    table = features()
    table.pid[:16] = -1
    direction = protocol_directions('hitsz_vcm', table.modalities, table.is_query)['rgb2ir']
    assert set(table.pid[choose_queries(table, direction, 100, seed=0)]) == {14, 15, 16, 17}
    examples = retrieval_examples([ReportRun('run', {}, table)], 'hitsz_vcm', topk=15)
    page = parse(retrieval_html(RetrievalGallery(examples, str)))
    assert 'person unknown' in [text.strip() for text in page.texts]
    assert not any('-1' in text for text in page.texts)


def test_nothing_to_show_is_nothing():
    assert retrieval_examples([ReportRun('a', {})], 'hitsz_vcm') == []
    for gallery in (None, RetrievalGallery([], str)):
        assert retrieval_html(gallery) == ''


# ---- one query as a picture ----
GREEN, RED = (26, 127, 55), (207, 34, 46)


def example(index, before, after, direction='rgb2ir'):
    """A query with answers that are right where a text has ``+``."""
    lists = tuple(
        (name, tuple(Hit(rank, 10, 1, mark == '+', 0.5) for rank, mark in enumerate(marks)))
        for name, marks in (('CD', before), ('DSC', after))
    )
    return RetrievalExample(direction, index, 10, 1, lists)


def count(pixels, color):
    return int((np.abs(pixels.astype(int) - color).max(axis=2) < 3).sum())


def test_right_answers_are_framed_green_and_wrong_ones_red(dataset, tmp_path):
    pictures = TrackletPictures(dataset)
    shares = []
    for number, marks in enumerate(('++', '+-', '--')):
        path = tmp_path / f'{number}.png'
        save_figure(draw_retrieval(example(8, marks, marks), pictures), path)
        pixels = cv2.imread(str(path))[..., ::-1]
        shares.append((count(pixels, GREEN), count(pixels, RED)))
    (green_two, no_red), (green_one, red_one), (no_green, red_two) = shares
    assert no_red == no_green == 0
    assert green_two == pytest.approx(2 * green_one, rel=0.1)
    assert red_two == pytest.approx(2 * red_one, rel=0.1)
    assert 0 < red_one < green_one  # dashes leave gaps


@pytest.mark.parametrize(('direction', 'heading'), [('rgb2ir', 'Visible query'), ('ir2rgb', 'Infrared query')])
def test_words_of_the_picture(direction, heading, dataset, tmp_path):
    path = tmp_path / 'picture.svg'
    figure = draw_retrieval(example(8, '-+', '++', direction), TrackletPictures(dataset, 3), note='made by hand')
    save_figure(figure, path)
    answers = 'infrared' if direction == 'rgb2ir' else 'visible'
    text = path.read_text()
    for shown in (
        heading,
        f'CD: 1 of 2 {answers} answers right',
        f'DSC: 2 of 2 {answers} answers right',
        'made by hand',
    ):
        assert f'>{shown}</text>' in text


def test_equal_pictures_have_equal_bytes_and_no_note_unless_given(dataset, tmp_path):
    paths = [tmp_path / name for name in ('a.svg', 'b.svg')]
    for path in paths:
        save_figure(draw_retrieval(example(8, '-+', '++'), TrackletPictures(dataset)), path)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert 'ynthetic' not in paths[0].read_text()
