"""Numbers of tracklets that cannot be adapted to."""

import pytest

from dscreid.deployment.adapt_preparation import refusal
from dscreid.structures import Modality

BATCH = {Modality.RGB: (2, 4), Modality.IR: (4, 4)}


@pytest.mark.parametrize(
    ('counts', 'least', 'words'),
    [
        ((20, 0), 2, ('20 visible tracklets but no infrared', 'add a folder CAMERA_ir')),
        ((0, 20), 2, ('no visible', 'CAMERA_rgb')),
        ((20, 15), 2, ('15 infrared tracklets, but a batch draws 16', 'sampler.infrared=(2, 2)')),
        ((7, 20), 2, ('7 visible tracklets, but a batch draws 8', 'sampler.visible=(2, 2)')),
        ((20, 16), 5, ('too few for 4 clusters of at least 5', 'at least 20')),
    ],
)
def test_what_cannot_work_is_refused_with_what_would(counts, least, words):
    reason = refusal(dict(zip(Modality, counts, strict=True)), BATCH, least)
    assert all(word in reason for word in words)
    assert '\n' not in reason


def test_what_can_work_is_not_refused():
    assert refusal({Modality.RGB: 8, Modality.IR: 16}, BATCH, 4) is None
