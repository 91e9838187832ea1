"""Tiny datasets in both official layouts, written by hand and independently of the loaders."""

import json
from pathlib import Path

import cv2
import numpy as np

BUPT_CAMERAS = ('LS3', 'G25', 'CQ1', 'W4', 'TSG1', 'TSG2')


def write_jpeg(path: Path, rng: np.random.Generator) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = rng.integers(0, 256, (16, 8, 3), dtype=np.uint8)
    path.write_bytes(cv2.imencode('.jpg', pixels)[1].tobytes())


class Worlds:
    """Writes datasets below one temporary folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def hitsz(self, name='hitsz', people=3, length=13, tracklets=2, info='info', images=None, pictures=True):
        """``tracklets`` per person and modality; camera of number n is n + 1; returns the root."""
        root = self.folder / name
        rng = np.random.default_rng(7)
        (root / info).mkdir(parents=True, exist_ok=True)
        for split, first in (('train', 1), ('test', people + 1)):
            names, tracks, queries = [], [], []
            top = split.capitalize() if images is None else images
            for pid in range(first, first + people):
                for kind, modality in ((1, 'ir'), (2, 'rgb')):
                    for n in range(tracklets):
                        start = len(names) + 1
                        for k in range(length):
                            picture = f'{n * 100 + k}.jpg'
                            names.append(f'{pid:04d}M{kind}D{n + 1}T{n + 1}F{picture}')
                            if pictures:
                                write_jpeg(root / top / f'{pid:04d}/{modality}/D{n + 1}' / picture, rng)
                        tracks.append(f'{kind} {start} {len(names)} {pid} {n + 1}')
                        if kind == 1:
                            queries.append(len(tracks))
            (root / info / f'{split}_name.txt').write_text('\n'.join(names) + '\n')
            (root / info / f'track_{split}_info.txt').write_text('\n'.join(tracks) + '\n')
        (root / info / 'query_IDX.txt').write_text(' '.join(map(str, queries)) + '\n')
        return root

    def bupt(self, name='bupt', people=4, length=5, cameras=2, pictures=True, fake=False):
        """``people`` in train, auxiliary (one camera) and test each; returns the root."""
        root = self.folder / name
        rng = np.random.default_rng(8)
        (root / 'DATA').mkdir(parents=True)
        paths = {}
        lists = {'train': [], 'train_auxiliary': [], 'query': [], 'gallery': []}
        for pid in range(1, 3 * people + 1):
            part = (pid - 1) // people
            for n, camera in enumerate(BUPT_CAMERAS[: 1 if part == 1 else cameras]):
                for modality in ('RGB', 'IR'):
                    files = [f'{pid}/{modality}/{camera}/{pid}_{modality}_{camera}_1_{k}.jpg' for k in range(length)]
                    paths.setdefault(str(pid), {}).setdefault(modality, {})[camera] = {'1': files}
                    fakes = [f.replace('/RGB/', '/FakeIR/') for f in files] if fake and modality == 'RGB' else []
                    for file in (files + fakes) if pictures else ():
                        write_jpeg(root / 'DATA' / file, rng)
                    if part == 2:
                        lists['query' if n == 0 else 'gallery'].append(f'{pid} {modality} {camera} 1')
                if part < 2:
                    lists['train_auxiliary' if part else 'train'].append(f'{pid} RGB/IR {camera} 1')
        (root / 'data_paths.json').write_text(json.dumps(paths))
        for file, lines in lists.items():
            (root / f'{file}.txt').write_text(''.join(f'{line}\n' for line in lines))
        return root
