"""The forecast of a command, judged by the runs that finished before."""

import json

import pytest

from dscreid.lab.reproduction import find_preset
from dscreid.lab.reproduction.costs import forecast
from dscreid.lab.reproduction.jobs import Job
from dscreid.lab.reproduction.presets import Place
from dscreid.lab.synthetic import make_spec


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Place(tmp_path / 'out', find_preset('synthetic-demo'))


def write_card(place, name, seconds, metrics=True):
    folder = place.folder / name
    folder.mkdir(parents=True)
    card = card_of(name, seconds) | ({'metrics': {'mean/mAP': 0.5}} if metrics else {})
    (folder / 'run_card.json').write_text(json.dumps(card))


def card_of(name, seconds):
    return {'run': name, 'identity': {'code': 'a'}, 'revisions': ['a'], 'wall_seconds': seconds, 'attempts': 1}


def jobs_of(place, *names):
    return [Job(f'bupt2hitsz/seed1/{name}', place.folder, ()) for name in names]


def test_a_run_takes_as_long_as_those_of_its_config(place):
    for seed, seconds in enumerate((60, 120, 600)):
        write_card(place, f'bupt2hitsz/seed{seed + 4}/dsc_demo', seconds)
    write_card(place, 'bupt2hitsz/seed4/cd_demo', 20)
    write_card(place, 'bupt2hitsz/seed5/cd_demo', 7200, metrics=False)  # not finished
    jobs = jobs_of(place, 'dsc_demo', 'cd_demo', 'new_demo')  # 120, 20, and the median of all: 90
    assert forecast(jobs, 5, place, 1) == (
        '3 runs to do, 5 finished before; about 3.8 min one after another, if they take as long as 4 finished runs'
    )
    assert 'about 1.9 min 2 at a time' in forecast(jobs, 0, place, 2)
    assert 'about 1.3 min 9 at a time' in forecast(jobs, 0, place, 9)  # no more than three run at a time
    assert 'about 3.8 min in sum' in forecast(jobs, 0, place, None)


def test_results_in_the_documentation_count(place, tmp_path):
    results = tmp_path / 'docs/results/synthetic-demo.json'
    results.parent.mkdir(parents=True)
    cards = [card_of(f'bupt2hitsz/seed{seed}/dsc_demo', 100) | {'metrics': {}} for seed in (7, 8)]
    results.write_text(json.dumps({'runs': cards}))
    write_card(place, 'bupt2hitsz/seed7/dsc_demo', 3700)  # the same run, made again
    assert 'about 31.7 min one after another, if they take as long as 2 finished runs' in forecast(
        jobs_of(place, 'dsc_demo'), 0, place, 1
    )


def test_what_is_unknown_is_said(place):
    world = Job('bupt2hitsz/seed1/source world', place.folder, (), world=make_spec('tiny', 'bupt'))
    assert forecast([*jobs_of(place, 'dsc_demo'), world], 0, place, 1) == (
        '1 run and 1 world to do, 0 finished before; how long they take is unknown, because no run on synthetic-demo '
        'has finished yet'
    )
    assert forecast([world], 2, place, 1) == '0 runs and 1 world to do, 2 finished before'
