"""Worlds of tests/datasets/conftest.py, packed."""

import pytest

from dscreid.datasets.packing import pack, plan_packing
from dscreid.datasets.storage import FrameFormat

SIZE = (12, 8)
RAW = FrameFormat(SIZE, encoding='raw', quality=None)


@pytest.fixture
def packed(worlds):
    """Function that packs a world; returns its root and the root of the packed frames."""

    def make(layout='hitsz', frame_format=RAW, frames_per_shard=50, **options):
        root = getattr(worlds, layout)()
        out = worlds.folder / f'{layout}_packed'
        pack(plan_packing(layout, root, frame_format, frames_per_shard=frames_per_shard, **options), out)
        return root, out

    return make
