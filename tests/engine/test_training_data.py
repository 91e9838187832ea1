from types import SimpleNamespace

import pytest

from dscreid.engine.training_data import check_both_modalities
from dscreid.errors import DatasetError


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
