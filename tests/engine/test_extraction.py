from types import SimpleNamespace

import pytest
import torch

from dscreid.engine import extraction
from dscreid.engine.extraction import check_both_modalities, extract_features
from dscreid.errors import ConfigError, DatasetError


@pytest.mark.parametrize('order', [range(10), reversed(range(10)), (3, 1, 4, 0, 5, 9, 2, 6, 8, 7)])
def test_rows_come_in_dataset_order(number_model, number_loader, order):
    loader = number_loader(order)
    features = extract_features(number_model, loader, number_model.embed)
    squares = torch.arange(10.0) ** 2
    assert torch.equal(features.static, torch.stack([squares, torch.ones(10)], 1))
    assert torch.equal(features.dynamic, torch.stack([-squares, torch.ones(10)], 1))
    assert not features.static.requires_grad


@pytest.mark.parametrize('training', [True, False])
def test_the_model_is_evaluated_and_left_as_it_was(number_model, number_loader, training):
    number_model.train(training)
    extract_features(number_model, number_loader(), number_model.embed)
    assert set(number_model.seen_training) == {False}
    assert number_model.training is training


@pytest.mark.parametrize('order', [range(9), [*range(10), 3], [*range(9), 3]])
def test_left_out_and_repeated_tracklets_are_refused(number_model, number_loader, order):
    with pytest.raises(ConfigError, match='SequentialSampler'):
        extract_features(number_model, number_loader(tuple(order)), number_model.embed)


def test_ranks_share_the_work(number_model, number_loader, monkeypatch):
    shares = []
    monkeypatch.setattr(extraction, 'gather_objects', lambda share: shares.append(share) or [share])
    for order in (range(0, 10, 2), range(1, 10, 2)):
        with pytest.raises(ConfigError):
            extract_features(number_model, number_loader(tuple(order)), number_model.embed)
    # gathered twice by each rank: first the static, then the dynamic half
    gathers = iter([[shares[0], shares[1]]] * 2)
    monkeypatch.setattr(extraction, 'gather_objects', lambda share: next(gathers))
    features = extract_features(number_model, number_loader((1, 3, 5, 7, 9)), number_model.embed)
    assert torch.equal(features.static[:, 0], torch.arange(10.0) ** 2)


def test_models_that_need_modalities_are_told_them(number_model, number_loader):
    number_model.needs_modalities = True
    number_model.modalities_of = lambda samples: ['ir' if sample.index % 2 else 'rgb' for sample in samples]

    def encode(inputs, modalities):
        signs = torch.tensor([-1.0 if modality == 'ir' else 1.0 for modality in modalities])
        return number_model.embed(inputs * signs)

    order = (3, 1, 4, 0, 5, 9, 2, 6, 8, 7)
    features = extract_features(number_model, number_loader(order), encode)
    numbers = torch.arange(10.0)
    assert torch.equal(features.static[:, 0], numbers**2 * (-1) ** numbers)


@pytest.mark.parametrize(
    ('counts', 'skipped', 'message'),
    [
        (
            {'rgb': 3, 'ir': 0},
            0,
            r"d: split 'train' has 3 visible and 0 infrared tracklets, .*both modalities; .* min_seq_len=12",
        ),
        (
            {'rgb': 0, 'ir': 1},
            2,
            r'0 visible and 1 infrared tracklets, .* and on_bad_frame \(skip_tracklet left out 2\)$',
        ),
    ],
)
def test_adaptation_needs_both_modalities(counts, skipped, message):
    dataset = SimpleNamespace(
        root='d', split='train', modality=None, min_seq_len=12, num_skipped_tracklets=skipped,
        indices=lambda modality: range(counts[modality.value]),
    )  # fmt: skip
    with pytest.raises(DatasetError, match=message):
        check_both_modalities(dataset)
    counts |= {'rgb': 1, 'ir': 1}
    check_both_modalities(dataset)
