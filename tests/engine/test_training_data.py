from types import SimpleNamespace

import pytest

from dscreid.engine.training_data import check_both_modalities, check_num_classes
from dscreid.errors import ConfigError, DatasetError


@pytest.mark.parametrize(('found', 'message'), [(6, 'num_classes=5, but the training split has 6'), (None, 'labels')])
def test_each_identity_has_an_output(found, message):
    loader = SimpleNamespace(dataset=SimpleNamespace(num_classes=found))
    with pytest.raises(ConfigError, match=message):
        check_num_classes(loader, 5)
    if found:
        check_num_classes(loader, 6)


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
