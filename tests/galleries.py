"""Galleries of made-up tracklets, and processes that change them until they are killed."""

import itertools
import subprocess
import sys
import threading
import time
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from dscreid.deployment import open_gallery
from dscreid.deployment.bundle import Bundle
from dscreid.deployment.gallery_rows import Entry
from dscreid.structures import Modality

SIZE = 8
START = datetime(2026, 3, 1)


def made_up_bundle(weights='0' * 64, calibration=None):
    """A description of a model without weights."""
    return Bundle(
        name='made up',
        license='for tests only',
        training_data='none',
        model={'retrieval': 'neck'},
        pipeline=[],
        feature={'size': SIZE, 'definition': ''},
        weights_sha256=weights,
        custom_imports=[],
        calibration=calibration,
        made_with='0',
        folder=Path('made_up'),
    )


def entry(number, **changes):
    """Tracklet t3 is at hour 3, in camera c0 and infrared."""
    facts = dict(
        tracklet=f't{number}',
        camera=f'c{number % 3}',
        modality=list(Modality)[number % 2],
        folder=f'/data/t{number}',
        start_time=START + timedelta(hours=number),
        end_time=START + timedelta(hours=number, minutes=30),
        thumbnail=b'picture of t%d,' % number * 5,
    )
    return Entry(**facts | changes)


def feature(number):
    """Unit vector of a tracklet."""
    vector = np.random.default_rng(number).standard_normal(SIZE)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def fill(gallery, numbers, **options):
    """Add tracklets in one call."""
    numbers = list(numbers)
    return gallery.add([entry(one) for one in numbers], np.stack([feature(one) for one in numbers]), **options)


def names(entries):
    """Names of tracklets."""
    return [one.tracklet for one in entries]


def killed(*arguments, seconds):
    """Lines that a process of this folder's module printed before it was killed, so long after the first one."""
    script = [sys.executable, __file__, *map(str, arguments)]
    process = subprocess.Popen(script, stdout=subprocess.PIPE, text=True)
    lines = [process.stdout.readline()]
    reader = threading.Thread(target=lambda: lines.extend(process.stdout), daemon=True)
    reader.start()
    time.sleep(seconds)
    process.kill()
    process.wait()
    reader.join()
    assert lines[0].strip(), 'the process ended by itself'
    return [int(line) for line in lines if line.endswith('\n')]


def add_for_ever(place: str) -> None:
    """Add ten tracklets at a time, the fifth of which was added before, and say when they are in."""
    gallery = open_gallery(place, made_up_bundle(), create=True)
    for number in itertools.count():
        fill(gallery, range(5 * number, 5 * number + 10))
        print(number, flush=True)


def remove_for_ever(place: str) -> None:
    """Remove one tracklet after another, and say when it is gone."""
    gallery = open_gallery(place)
    for number in itertools.count():
        gallery.remove([f't{number}'])
        print(number, flush=True)


if __name__ == '__main__':
    {'add': add_for_ever, 'remove': remove_for_ever}[sys.argv[1]](sys.argv[2])
