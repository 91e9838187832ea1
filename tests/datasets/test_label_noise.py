"""Wrong labels on purpose."""

import numpy as np
import pytest

from dscreid.datasets import HITSZVCM
from dscreid.datasets.label_noise import with_label_noise
from dscreid.errors import ConfigError

LABELS = np.random.default_rng(0).integers(0, 7, 90)
GROUPS = np.arange(90) % 2 == 0


@pytest.mark.parametrize('rate', [0.0, 0.2, 0.9])
def test_the_share_of_each_group_is_wrong(rate):
    before = LABELS.copy()
    noisy = with_label_noise(LABELS, GROUPS, rate, seed=3)
    np.testing.assert_array_equal(LABELS, before)
    for group in (True, False):
        assert (noisy != LABELS)[group == GROUPS].sum() == int(np.ceil(rate * 45))
    assert set(noisy) <= set(LABELS)
    np.testing.assert_array_equal(with_label_noise(LABELS, GROUPS, rate, seed=3), noisy)
    assert not rate or (with_label_noise(LABELS, GROUPS, rate, seed=4) != noisy).any()


def test_all_other_labels_are_equally_likely():
    noisy = with_label_noise(np.repeat([4, 6, 9], 4000), np.zeros(12000), 0.5)
    for number, label in enumerate((4, 6, 9)):
        own = noisy[4000 * number : 4000 * (number + 1)]
        wrong = own[own != label]
        assert 1800 < len(wrong) < 2200
        for other in {4, 6, 9} - {label}:
            assert 0.4 < (wrong == other).mean() < 0.6


def test_impossible_noise_is_refused():
    with pytest.raises(ConfigError, match=r'share in \[0, 1\), got 1.5'):
        with_label_noise(LABELS, GROUPS, 1.5)
    with pytest.raises(ConfigError, match='two identities in each modality'):
        with_label_noise(np.zeros(4, dtype=int), np.arange(4) % 2, 0.2)


def test_datasets_keep_the_true_persons(tiny_runs):
    clean = HITSZVCM(tiny_runs.hitsz, 'train', expected_statistics=None)
    noisy = HITSZVCM(tiny_runs.hitsz, 'train', expected_statistics=None, label_noise=0.2, label_noise_seed=1)
    share = (noisy.labels != clean.labels).mean()
    assert 0.2 <= share < 0.3
    assert [t.pid for t in noisy.tracklets] == [t.pid for t in clean.tracklets]
    assert noisy[0]['label'] == noisy.labels[0]
    with pytest.raises(ConfigError, match='label_noise needs a labeled train split'):
        HITSZVCM(tiny_runs.hitsz, 'test', expected_statistics=None, label_noise=0.2)
