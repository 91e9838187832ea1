from dataclasses import replace

import numpy as np
import pytest
from galleries import entry, made_up_bundle
from web_pictures import Colors, jpeg

from dscreid.deployment import open_gallery
from dscreid.structures import Modality


@pytest.fixture
def colors():
    """Color of each tracklet."""
    return {'red': (250, 10, 10), 'dark red': (200, 10, 10), 'green': (10, 250, 10), 'blue/ü': (10, 10, 250)}


@pytest.fixture
def gallery(tmp_path, colors):
    """Four tracklets; the pictures of the last one are gone, and the third has no thumbnail."""
    made = open_gallery(tmp_path / 'gallery', made_up_bundle(), create=True)
    entries = []
    for number, (name, color) in enumerate(colors.items()):
        folder = tmp_path / 'tracklets' / str(number)
        folder.mkdir(parents=True)
        for frame in range(3):
            (folder / f'{frame}.jpg').write_bytes(jpeg(color))
        facts = dict(tracklet=name, folder=str(folder), thumbnail=jpeg(color, (160, 80)))
        entries.append(replace(entry(number), **facts))
    entries[2] = replace(entries[2], thumbnail=None)
    for path in sorted((tmp_path / 'tracklets' / '3').iterdir()):
        path.unlink()
    (tmp_path / 'tracklets' / '3').rmdir()
    made.add(entries, np.stack([Colors.feature(color) for color in colors.values()]))
    assert [one.modality for one in entries] == [*Modality, *Modality]
    return made


@pytest.fixture
def inferencer():
    return Colors(made_up_bundle())
