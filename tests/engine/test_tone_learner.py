"""Tones learned from the frames of a dataset and labels; whole runs are in hooks/test_cluster_hook.py."""

import logging
from itertools import permutations
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from dscreid.engine import tone_learner
from dscreid.engine.tone_learner import ToneLearner
from dscreid.errors import LabelingError
from dscreid.models.data_preprocessor import TrackletDataPreprocessor
from dscreid.models.tones import ToneSettings, translated
from dscreid.pseudo_labels import PseudoLabels
from dscreid.structures import Modality, ReIDDataSample

#: Colors of twelve people's upper and lower halves, and the tones that a sensor gives to them.
TONES = {(255, 0, 0): 40, (0, 255, 0): 220, (0, 0, 255): 120, (255, 255, 255): 10}
COLORS = list(TONES)
PEOPLE = list(permutations(range(4), 2))


class Frames:
    """Two visible and two infrared tracklets of each person, in turn: index // 4 is the person."""

    root = 'x'

    def __len__(self):
        return 4 * len(PEOPLE)

    def indices(self, modality):
        return np.flatnonzero((np.arange(len(self)) % 2 == 1) == (Modality(modality) is Modality.IR))

    def __getitem__(self, index):
        frames = torch.zeros(2, 3, 8, 4, dtype=torch.uint8)
        for half, number in enumerate(PEOPLE[index // 4]):
            color = COLORS[number]
            values = color if index % 2 == 0 else (TONES[color],) * 3
            frames[:, :, 4 * half : 4 * half + 4] = torch.tensor(values, dtype=torch.uint8)[None, :, None, None]
        return dict(inputs=frames, data_samples=ReIDDataSample(metainfo=dict(index=index)))


def collate(items):
    return {key: [item[key] for item in items] for key in ('inputs', 'data_samples')}


@pytest.fixture
def learner():
    model = SimpleNamespace(
        data_preprocessor=TrackletDataPreprocessor(), training=True, eval=lambda: None, train=lambda mode: None
    )
    loader = DataLoader(Frames(), batch_size=5, collate_fn=collate)
    return ToneLearner(model, loader, ToneSettings(colors=4, grid=(2, 1), shrinkage=1e-6))


@pytest.mark.parametrize('wrong', [False, True])
def test_the_tones_of_all_colors_are_found(learner, wrong):
    people = np.repeat(np.arange(len(PEOPLE)), 2)
    infrared = people.copy()
    if wrong:  # two people are mistaken for each other
        infrared[people == 0], infrared[people == 5] = 5, 0
    table = learner.table(PseudoLabels(rgb=people, ir=infrared, shared=True))
    colors = torch.tensor(COLORS).float().T.reshape(1, 1, 3, 4, 1) / 255
    found = translated(colors, table)[0, 0, 0, :, 0]
    torch.testing.assert_close(255 * found, torch.tensor(list(TONES.values())).float(), atol=1.0, rtol=0)


@pytest.mark.parametrize('mixed', [False, True])
def test_colors_that_explain_little_are_warned_of(learner, mixed, monkeypatch):
    people = np.repeat(np.arange(len(PEOPLE)), 2)
    monkeypatch.setattr(tone_learner, '_DOUBTFUL', 0.5)  # colors explain some tones of so few pairs by chance
    infrared = np.random.default_rng(6).permutation(len(PEOPLE))[people] if mixed else people
    said = []
    monkeypatch.setattr(tone_learner, 'print_log', lambda message, level, **_: said.append((message, level)))
    learner.table(PseudoLabels(rgb=people, ir=infrared, shared=True))
    ((message, level),) = said
    assert message.startswith('infrared tones of colors: learned from 12 pairs of clusters; colors explain ')
    assert ('compare with DSC' in message) is mixed
    assert level == (logging.WARNING if mixed else logging.INFO)


def test_without_a_pair_nothing_can_be_learned(learner):
    people = np.repeat(np.arange(len(PEOPLE)), 2)
    with pytest.raises(LabelingError, match='no cluster has visible and infrared members'):
        learner.table(PseudoLabels(rgb=people, ir=people + len(PEOPLE), shared=True))


def test_models_without_modules_are_restored():
    """The preprocessor's own mode does not matter: frames are read without augmentation."""
    model = nn.Module()
    model.data_preprocessor = TrackletDataPreprocessor(augmentation=dict(flip=1.0))
    model.train()
    ToneLearner(model, DataLoader(Frames(), batch_size=24, collate_fn=collate), ToneSettings(colors=2, grid=(2, 1)))
    assert model.training
