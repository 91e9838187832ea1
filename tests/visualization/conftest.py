import base64
from html.parser import HTMLParser
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from dscreid.evaluation import FeatureTable
from dscreid.structures import Modality, Tracklet

VOID = {'meta', 'img', 'br', 'link', 'input', 'hr', 'wbr'}


class Page(HTMLParser):
    """Checks nesting and collects elements as (tag, attributes) and table rows as lists of texts."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.rows, self.stack, self.texts = [], [], [], []
        self.feed(str(text))
        self.close()
        assert self.stack == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag == 'tr':
            self.rows.append([])
        elif tag in ('td', 'th'):
            self.rows[-1].append('')
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.stack, f'</{tag}> closes nothing'
        assert self.stack.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)
        if self.rows and ('td' in self.stack or 'th' in self.stack):
            self.rows[-1][-1] += data

    def find(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def photos(self):
        return [image for image in self.find('img') if image['src'].startswith('data:image/jpeg')]

    @property
    def charts(self):
        """Text alternatives of the charts."""
        return [image['alt'] for image in self.find('img') if image.get('class') == 'chart']

    @property
    def text(self):
        return ' '.join(self.texts)


@pytest.fixture
def parse():
    return Page


@pytest.fixture
def drawing_of():
    """Function that decodes the SVG text of a data URI."""

    def decode(uri):
        prefix = 'data:image/svg+xml;base64,'
        assert uri.startswith(prefix)
        return base64.b64decode(uri.removeprefix(prefix)).decode('utf-8')

    return decode


@pytest.fixture
def metrics():
    def make(base, directions=('rgb2ir', 'ir2rgb')):
        figures = {}
        for number, name in enumerate(directions):
            offset = base + 0.01 * number
            figures |= {f'{name}/Rank-{rank}': offset + rank / 100 for rank in (1, 5, 10, 20)}
            figures |= {f'{name}/mAP': offset, f'{name}/mINP': offset - 0.05}
        figures['mean/mAP'] = base + 0.005
        return figures

    return make


@pytest.fixture
def features():
    """Features of 8 persons with 2 visible and 2 infrared tracklets each; infrared ones are queries."""

    def make(seed=0, noise=1.0, order=None):
        generator = np.random.default_rng(seed)
        pid = np.repeat(np.arange(10, 18), 4)
        modality = np.tile([0, 0, 1, 1], 8)
        camera = np.tile([1, 2, 1, 2], 8)
        centers = np.random.default_rng(99).normal(size=(8, 16))
        feature = centers[pid - 10] + noise * generator.normal(size=(32, 16))
        feature /= np.linalg.norm(feature, axis=1, keepdims=True)
        order = np.arange(32) if order is None else order
        arrays = (feature.astype(np.float32), pid, camera, modality, modality == 1, np.arange(32))
        return FeatureTable(*(array[order] for array in arrays))

    return make


@pytest.fixture
def dataset(tmp_path):
    """Three frames per tracklet on disk, matching ``features``; the gray level identifies the tracklet."""
    root = tmp_path / 'data'
    root.mkdir()
    tracklets = []
    for index in range(32):
        names = tuple(f'{index:02d}_{frame}.png' for frame in range(3))
        for frame, name in enumerate(names):
            cv2.imwrite(str(root / name), np.full((16, 8, 3), 7 * index + frame, np.uint8))
        modality = Modality.RGB if index % 4 < 2 else Modality.IR
        tracklets.append(Tracklet(names, modality, 1 + index % 2, 10 + index // 4, modality is Modality.IR))
    return SimpleNamespace(root=root, tracklets=tracklets)


@pytest.fixture
def records():
    lines = []
    for iteration in range(1, 7):
        epoch = (iteration + 2) // 3
        step = {'epoch': epoch, 'iter': iteration, 'step': iteration}
        lines.append({'loss': 3.0 / iteration, 'loss_id_static': 1.0, 'lr': 1e-4, **step})
        if iteration % 3 == 0:
            lines.append({'labels/rgb_clusters': 10 * epoch, 'labels/ir_clusters': 9, 'step': epoch})
            lines.append({'rgb2ir/mAP': 0.2 * epoch, 'mean/mAP': 0.1, 'strange key': 'text', 'step': epoch})
    return lines
