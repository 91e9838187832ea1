"""Rendered worlds as the data sets of own cameras."""

import shutil
from pathlib import Path

from dscreid.datasets import HITSZVCM
from dscreid.datasets.tracklet_table import TrackletRow, write_table


def make_tracklet_folder(hitsz: Path, out: Path, persons: bool = True) -> Path:
    """Copy a world in HITSZ-VCM layout to ``out`` and list its tracklets in a table, with or without persons."""
    shutil.copytree(hitsz, out)
    rows = []
    for split in ('train', 'test'):
        for number, one in enumerate(HITSZVCM(hitsz, split, expected_statistics=None).tracklets):
            person = f'p{one.pid}' if persons else ''
            camera = f'c{one.camera}'
            row = TrackletRow(f'{split}{number}', camera, one.modality, frames=one.frames, person=person, split=split)
            rows.append(row)
    write_table(out / 'tracklets.csv', rows)
    return out
