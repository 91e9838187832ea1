import random
from datetime import timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from galleries import SIZE, START, entry, feature, fill, killed, made_up_bundle, names
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dscreid.deployment import open_gallery
from dscreid.deployment.gallery_filters import Filters
from dscreid.errors import ConfigError, GalleryError
from dscreid.evaluation import rank_lists
from dscreid.structures import Modality


@pytest.fixture
def gallery(new_place):
    """Tracklets t0 to t29."""
    made = open_gallery(new_place(), made_up_bundle(), create=True)
    assert fill(made, range(30)) == 30
    return made


def test_what_was_added_is_found_after_opening_again(gallery):
    again = open_gallery(gallery.place, made_up_bundle())
    assert len(again) == 30
    found = again.query(limit=2)
    assert found == [entry(0, thumbnail=None), entry(1, thumbnail=None)]
    (hits,) = again.search(feature(4)[None], top=1)
    assert hits[0].entry == entry(4)
    assert hits[0].similarity == pytest.approx(1, abs=1e-6)


def test_adding_again_changes_nothing(gallery):
    before = gallery.query()
    assert fill(gallery, range(25, 35)) == 5
    assert fill(gallery, range(35)) == 0
    assert gallery.query()[:30] == before
    assert len(gallery) == 35


def test_replacing(gallery):
    assert gallery.add([entry(3, camera='other')], feature(7)[None]) == 0
    assert gallery.add([entry(3, camera='other')], feature(7)[None], replace=True) == 1
    assert gallery.query(Filters(cameras=['other'])) == [entry(3, camera='other', thumbnail=None)]
    assert {hit.entry.tracklet for hit in gallery.search(feature(7)[None], top=2)[0]} == {'t3', 't7'}
    assert len(gallery) == 30


def test_features_of_another_model_are_refused(gallery):
    other = made_up_bundle('1' * 64)
    with pytest.raises(GalleryError, match=r"holds features of the model 'made up' \(\w{16}\), not of 'made up'"):
        open_gallery(gallery.place, other)
    with pytest.raises(GalleryError, match='use the bundle of the gallery, or make another one'):
        open_gallery(gallery.place, other, create=True)
    assert gallery.about['fingerprint'] == made_up_bundle().fingerprint
    assert gallery.about['license'] == 'for tests only'


def test_calibration_is_not_part_of_the_model(gallery):
    open_gallery(gallery.place, made_up_bundle(calibration={'thresholds': []}))


def test_no_gallery(new_place):
    absent = new_place()
    for _ in range(2):
        with pytest.raises(GalleryError, match=rf'{absent}: is not a gallery; create one with dscreid gallery add'):
            open_gallery(absent)


@pytest.mark.parametrize('filters', [None, Filters(modality=Modality.IR), Filters(cameras=['absent'])])
def test_features_are_in_the_order_of_the_list(gallery, filters):
    gallery.add([entry(99, start_time=None, end_time=None), entry(98)], np.stack([feature(99), feature(98)]))
    gallery.add([entry(0)], feature(50)[None], replace=True)
    entries, features = gallery.features(filters)
    assert entries == gallery.query(filters)
    assert features.dtype == np.float32
    assert features.shape == (len(entries), SIZE)
    for one, found in zip(entries, features, strict=True):
        np.testing.assert_array_equal(found, feature(50 if one.tracklet == 't0' else int(one.tracklet[1:])))


def test_features_must_fit(gallery):
    for wrong in (np.zeros((1, SIZE + 1), np.float32), np.full((1, SIZE), np.nan, np.float32)):
        with pytest.raises(ValueError, match=r'features must be finite \(1, 8\)'):
            gallery.add([entry(99)], wrong)
    with pytest.raises(ValueError, match='different names'):
        gallery.add([entry(99)] * 2, np.zeros((2, SIZE), np.float32))
    assert gallery.add([], np.zeros((0, SIZE), np.float32)) == 0


@pytest.mark.parametrize('indexed', [False, True])
def test_the_ranking_is_that_of_the_evaluation(new_place, indexed):
    rng = np.random.default_rng(0)
    features = rng.standard_normal((1500, SIZE)).astype(np.float32)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    gallery = open_gallery(new_place(), made_up_bundle(), create=True)
    gallery.add([entry(number) for number in range(1480)], features[:1480])
    if indexed:
        gallery.compact(index=True)
    nobody = np.full(1500, -1), np.zeros(1500)
    queries, rest = features[1480:], features[:1480]
    lists = rank_lists(queries, nobody[0][1480:], nobody[1][1480:], rest, nobody[0][:1480], nobody[1][:1480], topk=10)
    found = gallery.search(queries, top=10, probes=1_000 if indexed else None)
    assert [[int(hit.entry.tracklet[1:]) for hit in hits] for hits in found] == lists.index.tolist()
    similarity = [[hit.similarity for hit in hits] for hits in found]
    np.testing.assert_allclose(similarity, lists.similarity, atol=1e-6)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cameras=st.lists(st.sampled_from(['c0', 'c1', "c'2", 'absent']), max_size=2, unique=True),
    modality=st.sampled_from([None, *Modality]),
    start=st.none() | st.integers(0, 30).map(lambda hour: START + timedelta(hours=hour)),
    hours=st.none() | st.integers(0, 12),
)
def test_filters_agree_with_brute_force(shared, cameras, modality, start, hours):
    gallery, entries = shared
    end = None if hours is None else (start or START) + timedelta(hours=hours)
    filters = Filters(tuple(cameras), modality, start, end)

    def meets(one):
        first, last = one.start_time or one.end_time, one.end_time or one.start_time
        return (
            (not cameras or one.camera in cameras)
            and modality in (None, one.modality)
            and (start is None or (last is not None and last >= start))
            and (end is None or (first is not None and first <= end))
        )

    expected = {one.tracklet for one in entries if meets(one)}
    assert set(names(gallery.query(filters))) == expected
    (hits,) = gallery.search(feature(0)[None], top=100, filters=filters)
    assert {hit.entry.tracklet for hit in hits} == expected


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.sampled_from(['', 't', 'T1', '7', '%', '_', "'", 'absent']),
    cameras=st.lists(st.sampled_from(['c0', 'c1', "c'2"]), max_size=2, unique=True),
    start=st.integers(0, 40),
    limit=st.integers(1, 40),
)
def test_pages_are_parts_of_the_list(shared, text, cameras, start, limit):
    gallery, _ = shared
    filters = Filters(tuple(cameras))
    expected = [one for one in gallery.query(filters) if text.lower() in one.tracklet.lower()]
    assert gallery.page(filters, text, start, limit) == (len(expected), expected[start : start + limit])


def test_pages_find_names_in_any_case(new_place):
    gallery = open_gallery(new_place(), made_up_bundle(), create=True)
    gallery.add([entry(0, tracklet='Straße/Über', thumbnail=None)], feature(0)[None])
    for text in ('über', 'STRASSE', 'straß', 'ße/ü', 'A\\', '%'):
        count, entries = gallery.page(text=text)
        assert count == len(entries) == (text.lower() in 'straße/über')


@pytest.fixture(scope='module')
def shared(new_place):
    """Some tracklets without start, end or both, and a camera with a quotation mark."""
    gallery = open_gallery(new_place(), made_up_bundle(), create=True)
    entries = [entry(number) for number in range(24)]
    entries += [entry(number, camera="c'2", end_time=None) for number in range(24, 28)]
    entries += [entry(number, start_time=None) for number in range(28, 30)]
    entries += [entry(number, start_time=None, end_time=None) for number in range(30, 32)]
    gallery.add(entries, np.stack([feature(number) for number in range(32)]))
    return gallery, entries


def test_a_query_can_be_left_out_of_its_answers(gallery):
    features = np.stack([feature(3), feature(4)])
    first, second = gallery.search(features, top=30, leave_out=['t3', None])
    assert 't3' not in {hit.entry.tracklet for hit in first}
    assert len(first) == 29
    assert second[0].entry.tracklet == 't4'
    assert gallery.at(Path('/data/t3')) == entry(3, thumbnail=None)
    assert gallery.at(Path('/data')) is None


def test_times_have_or_lack_a_zone_but_not_both(gallery, new_place):
    zoned = entry(50, start_time=START.replace(tzinfo=timezone(timedelta(hours=2))), end_time=None)
    with pytest.raises(GalleryError, match='times with and without a time zone cannot be compared'):
        gallery.add([zoned], feature(50)[None])
    assert len(gallery) == 30
    with pytest.raises(ConfigError, match=r'have a time zone, but the times of .* have none'):
        gallery.query(Filters(start=START.replace(tzinfo=timezone.utc)))
    other = open_gallery(new_place(), made_up_bundle(), create=True)
    other.add([zoned], feature(50)[None])
    (found,) = other.query(Filters(end=START.replace(tzinfo=timezone.utc)))
    assert found.start_time == zoned.start_time
    assert other.query(Filters(end=(START - timedelta(hours=3)).replace(tzinfo=timezone.utc))) == []
    with pytest.raises(ConfigError, match=r'have no time zone, but the times of .* have one'):
        other.search(feature(0)[None], filters=Filters(start=START))


def test_removing_by_filters(gallery):
    assert gallery.remove(['t0', 't1', 't3'], Filters(cameras=['c0'])) == 2
    assert gallery.remove(filters=Filters(modality=Modality.IR)) == 14
    assert {one.modality for one in gallery.query()} == {Modality.RGB}
    with pytest.raises(ConfigError, match='name the tracklets to remove, or give a filter'):
        gallery.remove()
    with pytest.raises(ConfigError, match='name the tracklets to remove'):
        gallery.remove(filters=Filters())


def test_pruning_by_age(gallery):
    now = (START + timedelta(days=2)).astimezone()  # of this machine's clock, as the times
    # t17 ended at 17:30 and t18 at 18:30 on the first day
    assert gallery.prune(timedelta(days=1, hours=6), now) == 18
    assert names(gallery.query()) == [f't{number}' for number in range(18, 30)]
    assert gallery.prune(timedelta(days=30), now) == 0


def test_pruning_tracklets_with_zones_or_without_times(new_place):
    gallery = open_gallery(new_place(), made_up_bundle(), create=True)
    zoned = [entry(one, start_time=(START + timedelta(hours=one)).replace(tzinfo=timezone.utc), end_time=None)
             for one in range(4)]  # fmt: skip
    timeless = entry(9, start_time=None, end_time=None)
    gallery.add([*zoned, timeless], np.stack([feature(number) for number in (0, 1, 2, 3, 9)]))
    now = START.replace(tzinfo=timezone.utc) + timedelta(hours=5)
    assert gallery.prune(timedelta(hours=3.5), now) == 2
    assert names(gallery.query()) == ['t2', 't3', 't9']
    # without a time, since it was added, which is just now
    assert gallery.prune(timedelta(hours=1)) == 2
    assert names(gallery.query()) == ['t9']


def test_an_index_is_kept_up_to_date(new_place):
    gallery = open_gallery(new_place(), made_up_bundle(), create=True)
    fill(gallery, range(900))
    with pytest.raises(GalleryError, match='has 900 tracklets; an index needs at least 1,000'):
        gallery.compact(index=True)
    with pytest.raises(GalleryError, match='has no index; make it with dscreid gallery compact --index'):
        gallery.search(feature(0)[None], probes=4)
    fill(gallery, range(900, 1200))
    gallery.compact(index=True)
    assert gallery.statistics().indexed == 1200
    fill(gallery, range(1200, 1210))
    assert gallery.search(feature(1205)[None], top=1, probes=1000)[0][0].entry.tracklet == 't1205'
    gallery.finish_adding()
    assert gallery.statistics().indexed == 1210
    gallery.remove(['t1205'])
    assert gallery.statistics().indexed == 1209
    assert gallery.search(feature(1205)[None], top=1, probes=1000)[0][0].entry.tracklet != 't1205'
    gallery.compact(index=False)
    assert gallery.statistics().indexed is None


def test_statistics(gallery):
    found = gallery.statistics()
    assert found.count == 30
    assert found.cameras == {(f'c{c}', m): 5 for c in range(3) for m in ('ir', 'rgb')}
    assert found.times == (entry(0).start_time, entry(29).end_time)
    assert found.indexed is None


def test_statistics_of_times_that_are_partly_unknown(shared, new_place):
    gallery, entries = shared
    found = gallery.statistics()
    assert found.count == len(entries)
    assert found.cameras["c'2", 'rgb'] == 2
    assert found.times == (START, START + timedelta(hours=29, minutes=30))
    zoned = open_gallery(new_place(), made_up_bundle(), create=True)
    start = START.replace(tzinfo=timezone(timedelta(hours=2)))
    zoned.add([entry(0, start_time=start, end_time=None)], feature(0)[None])
    assert zoned.statistics().times == (start, start)


def test_a_gallery_without_tracklets(new_place):
    empty = open_gallery(new_place(), made_up_bundle(), create=True)
    assert empty.search(feature(0)[None]) == [[]]
    assert empty.query() == []
    assert empty.page() == (0, [])
    assert empty.statistics().times is None
    assert empty.prune(timedelta(0)) == 0
    empty.compact()


@pytest.mark.slow
@pytest.mark.parametrize('seed', range(2))
def test_a_killed_add_neither_loses_nor_doubles_a_tracklet(new_place, seed):
    place = new_place()
    finished = killed('add', place, seconds=random.Random(seed).uniform(0, 0.4))
    gallery = open_gallery(place, made_up_bundle())
    found = names(gallery.query())
    assert len(set(found)) == len(found) == len(gallery)
    complete = 5 * finished[-1] + 10
    # the one that was cut off is in or not, as a whole
    assert set(found) in [{f't{n}' for n in range(count)} for count in (complete, complete + 5)]
    assert fill(gallery, range(complete + 5)) == complete + 5 - len(found)
    assert sorted(names(gallery.query())) == sorted(f't{number}' for number in range(complete + 5))


@pytest.mark.slow
def test_a_killed_removal_loses_nothing_else(gallery):
    fill(gallery, range(30, 400))
    finished = killed('remove', gallery.place, seconds=0.3)
    count = finished[-1] + 1
    left = set(names(open_gallery(gallery.place).query()))
    assert left in [{f't{number}' for number in range(first, 400)} for first in (count, count + 1)]


def test_any_name_is_kept_as_it_is(new_place):
    gallery = open_gallery(new_place(), made_up_bundle(), create=True)
    texts = [
        'a"b',
        "a'b",
        'a\\b',
        'a\nb',
        'a\tb',
        'gate_rgb/ü 1',
        '%41',
        'A',
        '{x}',
        '日本',
        ') or tracklet != ("',
        '*',
    ]
    entries = [entry(n, tracklet=text, camera=text, folder=f'/data/{text}') for n, text in enumerate(texts)]
    gallery.add(entries, np.stack([feature(number) for number in range(len(texts))]))
    assert sorted(names(gallery.query())) == sorted(texts)
    for number, text in enumerate(texts):
        assert gallery.query(Filters(cameras=[text])) == [
            entry(number, tracklet=text, camera=text, folder=f'/data/{text}', thumbnail=None)
        ]
        assert gallery.folders([text, 'absent']) == {text: f'/data/{text}'}
        assert gallery.find(text)[0] == entries[number]
        (hits,) = gallery.search(feature(number)[None], top=1, leave_out=[text])
        assert hits[0].entry.tracklet != text
        assert gallery.at(Path(f'/data/{text}')).tracklet == text
    assert gallery.remove(texts) == len(texts)
    assert len(gallery) == 0


def test_galleries_of_more_tracklets_than_one_request_are_read_and_removed(new_place):
    gallery = open_gallery(new_place(), made_up_bundle(), create=True)
    assert fill(gallery, range(600)) == 600
    assert fill(gallery, range(595, 610), replace=True) == 15
    assert len(gallery.query()) == len(gallery) == 610
    assert gallery.folders([f't{number}' for number in range(1_500)]).keys() == {f't{n}' for n in range(610)}
    assert gallery.remove([f't{number}' for number in range(580)]) == 580
    assert sorted(names(gallery.query())) == sorted(f't{number}' for number in range(580, 610))
