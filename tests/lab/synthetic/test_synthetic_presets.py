from dataclasses import replace
from typing import ClassVar

import pytest

from dscreid.errors import ConfigError
from dscreid.lab.synthetic import World, WorldSpec, adaptation_worlds, make_spec
from dscreid.lab.synthetic.domain import DOMAINS, get_domain
from dscreid.lab.synthetic.layouts import Split, plan_world
from dscreid.registry import WORLDS, registered_classes


def numbers(spec, *names):
    return tuple(getattr(spec, name) for name in names)


def test_full_has_the_published_numbers_of_identities():
    hitsz, bupt = make_spec('full', 'hitsz'), make_spec('full', 'bupt')
    assert numbers(hitsz, 'train_ids', 'test_ids', 'auxiliary_ids') == (500, 427, 0)
    assert numbers(bupt, 'train_ids', 'auxiliary_ids', 'test_ids') == (1074, 930, 1076)
    for spec in (hitsz, bupt):
        assert numbers(spec, 'min_frames', 'max_frames', 'height', 'width') == (24, 24, 288, 144)


def test_demo_and_pretrain():
    source, target, pretrain = (
        make_spec('demo', 'bupt'),
        make_spec('demo', 'hitsz'),
        make_spec('pretrain', 'bupt'),
    )
    assert numbers(source, 'domain', 'train_ids', 'test_ids', 'tracklets') == ('bupt', 240, 60, 8)
    assert numbers(target, 'domain', 'train_ids', 'test_ids', 'tracklets') == ('hitsz', 150, 80, 12)
    assert numbers(pretrain, 'domain', 'train_ids', 'tracklets', 'max_frames') == ('varied', 1600, 12, 2)
    assert source.modality_gap == pretrain.modality_gap == 0
    assert target.modality_gap > 0


def test_source_and_target_of_the_rule_look_alike():
    for direction, domain in (('bupt2hitsz', 'bupt'), ('hitsz2bupt', 'hitsz')):
        source, target = adaptation_worlds(1, direction, 'rule')
        assert source.domain == target.domain == domain
        assert (source.layout, target.layout) == ('bupt', 'hitsz')
        assert (source.sensor, target.sensor) == ('family', 'rule')
        assert source.seed != target.seed


@pytest.mark.parametrize('preset', ['tiny', 'demo', 'demo-short', 'full', 'pretrain', 'rule', 'few', 'noisy'])
def test_hitsz_tracklets_are_long_enough_for_the_loader(preset):
    assert make_spec(preset, 'hitsz').min_frames >= 12


def test_each_person_passes_the_cameras_in_turn():
    people = plan_world(make_spec('demo', 'hitsz'))
    assert len(people) == 150 + 80
    for walks in people[::40]:
        for modality in ('ir', 'rgb'):
            cameras = [walk.camera for walk in walks if walk.modalities[0].value == modality]
            assert sorted(cameras) == [number for number in range(6) for _ in range(2)]
    assert {walk.split for walk in people[-1]} == {Split.TEST}


def test_overrides_and_none():
    spec = make_spec('tiny', 'hitsz', train_ids=5, modality_gap=0.25, seed=3, test_ids=None)
    assert numbers(spec, 'train_ids', 'modality_gap', 'seed', 'test_ids') == (5, 0.25, 3, 6)


def test_a_world_may_set_what_its_domain_would():
    own, eased = make_spec('tiny', 'bupt'), make_spec('tiny', 'bupt', occluded=0, sensor_spread=0.05)
    assert own.appearance == get_domain('bupt')
    assert eased.appearance == replace(get_domain('bupt'), occluded=0.0, sensor_spread=0.05)


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        ({'seed': -1}, 'seed'),
        ({'train_ids': 0}, 'train_ids .* at least 1'),
        ({'test_tracklets': 1}, 'test_tracklets'),
        ({'min_frames': 9, 'max_frames': 8}, 'max_frames'),
        ({'sensor': 'lens'}, "unknown sensor 'lens'; choose one of family, rule"),
        ({'modality_gap': 2.0}, 'modality_gap'),
        ({'modality_gap': float('nan')}, 'modality_gap'),
        ({'occluded': 1.1}, 'occluded must lie between 0 and 1'),
        ({'sensor_spread': -0.1}, 'sensor_spread'),
        ({'cameras': 7}, 'room for 6 cameras'),
        ({'height': 64.0}, 'height'),
        ({'colour': 1}, "no field 'colour'"),
    ],
)
def test_values_out_of_range(values, message):
    with pytest.raises(ConfigError, match=message):
        make_spec('tiny', 'bupt', **values)


def test_unknown_names_and_what_a_layout_lacks():
    with pytest.raises(ConfigError, match=r"unknown world 'dmo'; did you mean 'demo'\? \(known are tiny, demo"):
        make_spec('dmo', 'bupt')
    with pytest.raises(ConfigError, match='layout'):
        make_spec('tiny', 'mars')
    with pytest.raises(ConfigError, match='domain'):
        WorldSpec('bupt', 'mars')
    with pytest.raises(ConfigError, match='layout bupt only'):
        make_spec('tiny', 'hitsz', fake_ir=True)
    with pytest.raises(ConfigError, match='9999'):
        make_spec('tiny', 'hitsz', train_ids=10_000)


def test_a_registered_class_is_a_world(monkeypatch):
    class Crowd(World):
        """Many people in few frames."""

        common: ClassVar[dict] = {'train_ids': 30, 'min_frames': 12}
        bupt: ClassVar[dict] = {'auxiliary_ids': 3}
        domain = 'night'

    night = replace(get_domain('hitsz'), name='night', code=10, light=(0.2, 0.4))
    monkeypatch.setitem(DOMAINS, 'night', night)
    WORLDS.import_from_location()
    monkeypatch.setitem(WORLDS.module_dict, 'crowd', Crowd)
    spec = make_spec('crowd', 'bupt', seed=2)
    assert numbers(spec, 'train_ids', 'auxiliary_ids', 'domain', 'seed') == (30, 3, 'night', 2)
    assert spec.appearance == replace(night, occluded=spec.occluded)
    assert make_spec('crowd', 'hitsz', 'bupt').domain == 'bupt'


def test_worlds_and_protocols_are_no_types_of_a_config():
    assert not {'demo', 'hitsz_vcm'} & registered_classes().keys()
