"""Determinism, the guard of the target folder, and the marker of a finished world."""

import hashlib
import json
from dataclasses import replace

import pytest

from dscreid.errors import DatasetError
from dscreid.lab.synthetic import is_complete, make_spec, render_world
from dscreid.lab.synthetic import world as world_module


def contents(root):
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob('*')
        if path.is_file()
    }


def small(layout='bupt', domain=None, **overrides):
    values = {'train_ids': 3, 'test_ids': 1, 'tracklets': 2, 'test_tracklets': 2} | overrides
    return make_spec('tiny', layout, domain, **values)


@pytest.mark.parametrize(
    ('layout', 'domain'), [('hitsz', 'hitsz'), ('bupt', 'bupt'), ('bupt', 'varied'), ('bupt', 'everyday')]
)
def test_same_bytes_from_one_and_two_processes(tmp_path, layout, domain):
    spec = small(layout, domain)
    render_world(tmp_path / 'one', spec, num_processes=1, progress=False)
    render_world(tmp_path / 'two', spec, num_processes=2, progress=False)
    assert contents(tmp_path / 'one') == contents(tmp_path / 'two')


def test_another_seed_gives_another_world_of_the_same_shape(tmp_path):
    render_world(tmp_path / 'a', small(max_frames=12), num_processes=1, progress=False)
    render_world(tmp_path / 'b', small(max_frames=12, seed=1), num_processes=1, progress=False)
    a, b = contents(tmp_path / 'a'), contents(tmp_path / 'b')
    frames_a, frames_b = ({digest for name, digest in c.items() if name.endswith('.jpg')} for c in (a, b))
    assert len(frames_a) == len(frames_b)
    assert not frames_a & frames_b


def test_more_people_leave_the_others_as_they_were(tmp_path):
    render_world(tmp_path / 'few', small(train_ids=1, auxiliary_ids=0), num_processes=1, progress=False)
    render_world(tmp_path / 'many', small(train_ids=2, auxiliary_ids=0), num_processes=1, progress=False)
    few, many = contents(tmp_path / 'few'), contents(tmp_path / 'many')
    first = {name: digest for name, digest in few.items() if name.startswith('DATA/0001/')}
    assert first
    assert first.items() <= many.items()


def test_marker_tells_a_finished_world_of_this_spec(tmp_path):
    spec = small()
    assert not is_complete(tmp_path, spec)
    render_world(tmp_path, spec, num_processes=1, progress=False)
    assert is_complete(tmp_path, spec)
    assert not is_complete(tmp_path, replace(spec, seed=1))
    assert not is_complete(tmp_path, replace(spec, modality_gap=0.5))
    marker = json.loads((tmp_path / 'world.json').read_text())
    assert marker['spec'] == spec.to_dict()
    (tmp_path / 'world.json').write_text('[1]')
    assert not is_complete(tmp_path, spec)


@pytest.mark.parametrize('change', [{'occluded': 1.0}, {'sensor_spread': 0.9}, {'material_spread': 0.0}])
def test_what_a_world_sets_in_its_domains_place_is_seen(tmp_path, change):
    render_world(tmp_path / 'own', small(occluded=0.0), num_processes=1, progress=False)
    render_world(tmp_path / 'set', small(**{'occluded': 0.0} | change), num_processes=1, progress=False)
    own, changed = (
        {name: digest for name, digest in contents(tmp_path / part).items() if name.endswith('.jpg')}
        for part in ('own', 'set')
    )
    assert own.keys() == changed.keys()
    assert own != changed


def test_finished_world_is_replaced_only_on_demand(tmp_path):
    spec = small()
    render_world(tmp_path, spec, num_processes=1, progress=False)
    before = contents(tmp_path)
    with pytest.raises(DatasetError, match='finished synthetic world; pass --overwrite'):
        render_world(tmp_path, spec, num_processes=1, progress=False)
    assert contents(tmp_path) == before
    render_world(tmp_path, spec, num_processes=1, overwrite=True, progress=False)
    assert contents(tmp_path) == before


@pytest.mark.parametrize('overwrite', [False, True])
def test_foreign_folder_is_never_touched(tmp_path, overwrite):
    (tmp_path / 'info').mkdir()
    (tmp_path / 'info' / 'train_name.txt').write_text('precious')
    with pytest.raises(DatasetError, match='contains files but no synthetic world'):
        render_world(tmp_path, small('hitsz'), num_processes=1, overwrite=overwrite, progress=False)
    assert (tmp_path / 'info' / 'train_name.txt').read_text() == 'precious'
    assert [path.name for path in tmp_path.iterdir()] == ['info']


@pytest.mark.parametrize('name', ['notes.txt', 'DATA/notes.txt'])
def test_files_of_others_in_a_world_are_not_removed(tmp_path, name):
    render_world(tmp_path, small(), num_processes=1, progress=False)
    (tmp_path / name).write_text('precious')
    before = contents(tmp_path)
    with pytest.raises(DatasetError, match=rf'{name} is in a synthetic world that was to be replaced'):
        render_world(tmp_path, small(), num_processes=1, overwrite=True, progress=False)
    assert contents(tmp_path) == before


def test_a_file_in_place_of_the_folder(tmp_path):
    (tmp_path / 'world').write_text('')
    with pytest.raises(DatasetError, match='is a file'):
        render_world(tmp_path / 'world', small(), num_processes=1, progress=False)


def test_killed_run_is_recognized_and_can_be_replaced(tmp_path, monkeypatch):
    spec, rendered = small(), []

    def killed_at_the_second_person(root, spec, walks):
        rendered.append(walks)
        if len(rendered) == 2:
            raise KeyboardInterrupt
        return original(root, spec, walks)

    original = world_module.render_person
    monkeypatch.setattr(world_module, 'render_person', killed_at_the_second_person)
    with pytest.raises(KeyboardInterrupt):
        render_world(tmp_path, spec, num_processes=1, progress=False)
    monkeypatch.undo()
    assert not is_complete(tmp_path, spec)
    with pytest.raises(DatasetError, match='an unfinished synthetic world'):
        render_world(tmp_path, spec, num_processes=1, progress=False)
    render_world(tmp_path, spec, num_processes=1, overwrite=True, progress=False)
    assert is_complete(tmp_path, spec)
