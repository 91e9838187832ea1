"""What label-free criteria choose among rows and epochs, on hand-made run cards."""

import math

import numpy as np
import pytest

from dscreid.lab.reproduction import find_preset
from dscreid.lab.reproduction.choices import Candidate, candidates_of, choice_table, choices_among
from dscreid.lab.reproduction.experiments import find_experiment
from dscreid.lab.reproduction.presets import Place
from dscreid.pseudo_labels.criteria import LABEL_FREE_CRITERIA


def card_of(scores, **criteria):
    curves = {f'criteria/{name}': [[epoch, value] for epoch, value in own.items()] for name, own in criteria.items()}
    curves['mean/mAP'] = [[float(epoch), value] for epoch, value in scores.items()]
    return dict(
        identity={'code': 'a'},
        revisions=['a'],
        wall_seconds=1.0,
        attempts=1,
        metrics={'mean/mAP': max(scores.values())},
        curves=curves,
    )


def test_only_epochs_that_were_validated_and_judged_are_candidates():
    card = card_of({1: 0.5, 2: 0.6, 3: 0.7}, silhouette={0: 0.9, 1: 0.1, 2: 0.2}, stability={2: 0.8})
    assert candidates_of('row', card) == [
        Candidate('row', 1, 0.5, {'silhouette': 0.1}),
        Candidate('row', 2, 0.6, {'silhouette': 0.2, 'stability': 0.8}),
    ]
    assert candidates_of('row', {}) == []


def random_candidates(rng, rows=3, epochs=4):
    return [
        Candidate(
            f'row {row}', epoch, rng.random(), {name: rng.choice([0.1, 0.2, 0.3]) for name in LABEL_FREE_CRITERIA}
        )
        for row in range(rows)
        for epoch in range(1, epochs + 1)
    ]


@pytest.mark.parametrize('seed', range(10))
def test_choices_are_those_of_a_loop(seed):
    candidates = random_candidates(np.random.default_rng(seed))
    choices = choices_among(candidates)
    assert choices['row 0, last epoch'] == candidates[3]
    for name in LABEL_FREE_CRITERIA:
        for way, among in ((name, candidates), (f'{name}, last epoch', candidates[3::4])):
            best = among[0]
            for candidate in among:
                if candidate.criteria[name] > best.criteria[name]:  # the earlier of equal ones stays
                    best = candidate
            assert choices[way] == best
    assert choices['test labels'].score == max(candidate.score for candidate in candidates)


def test_a_value_that_is_missing_or_undefined_is_not_chosen():
    candidates = [Candidate('one', 1, 0.5, {'silhouette': math.nan}), Candidate('one', 2, 0.4, {'silhouette': 0.1})]
    choices = choices_among(candidates)
    assert choices['silhouette'] == candidates[1]
    assert choices['stability'] is None


def table_of(tmp_path, rows, *worlds):
    """The table of worlds, each given by the card of each row."""
    experiment = find_experiment('choices')
    place = Place(tmp_path / 'nothing', find_preset('synthetic-demo'))
    names = [place.run_name(row, 'bupt2hitsz') for row in experiment.rows[:rows]]
    recorded = {
        f'bupt2hitsz/seed{seed}/{name}': card
        for seed, cards in enumerate(worlds, 3)
        for name, card in zip(names, cards, strict=False)
    }
    place = Place(tmp_path / 'nothing', find_preset('synthetic-demo'), recorded=recorded)
    return choice_table(place, experiment, experiment.rows[:rows], ['bupt2hitsz'], None)


def cells(text):
    return [[cell.strip() for cell in line.strip('|').split('|')] for line in text.splitlines() if line[:1] == '|']


def test_the_table_compares_with_the_choice_by_labels(tmp_path):
    first = card_of({1: 0.5, 2: 0.6}, silhouette={1: 0.3, 2: 0.2})
    second = card_of({1: 0.7, 2: 0.4}, silhouette={1: 0.1, 2: 0.25})
    text = table_of(tmp_path, 2, [first, second], [second, first])
    rows = {row[0]: row[1:] for row in cells(text)}
    assert rows['chosen by'][3:] == ['bupt2hitsz, seed 3', 'bupt2hitsz, seed 4']
    chosen, other = 'settings chosen without labels', 'k1 = 6'
    assert rows[f'{chosen}, last epoch'] == ['50.0', '20.0', '30.0', f'{chosen}, epoch 2', f'{chosen}, epoch 2']
    assert rows['silhouette'] == ['50.0', '20.0', '20.0', f'{chosen}, epoch 1', f'{other}, epoch 1']
    assert rows['silhouette, last epoch'] == ['40.0', '30.0', '30.0', f'{other}, epoch 2', f'{chosen}, epoch 2']
    assert rows['test labels'] == ['70.0', '0.0', '0.0', f'{other}, epoch 1', f'{chosen}, epoch 1']
    assert 'stability' not in rows


def test_worlds_without_every_row_are_left_out(tmp_path):
    card = card_of({1: 0.5}, silhouette={1: 0.3})
    assert 'seed 4' not in table_of(tmp_path, 2, [card, card], [card])
    assert table_of(tmp_path, 2, [card], [card]) == ''
    assert table_of(tmp_path, 1, [card]) == ''
    unjudged = card_of({1: 0.5})
    assert table_of(tmp_path, 2, [card, unjudged]) == ''


def test_other_tables_have_none(tmp_path):
    place = Place(tmp_path, find_preset('synthetic-demo'))
    experiment = find_experiment('table3')
    assert choice_table(place, experiment, experiment.rows, ['bupt2hitsz'], None) == ''
