"""Shipped configs made so small that a processor trains them within a second, on worlds of eighteen people."""

from collections.abc import Iterable
from pathlib import Path

from own_cameras import make_tracklet_folder

from dscreid.lab.synthetic import make_spec, render_world

#: World of each environment variable ``DSCREID_...``.
ROOTS = {
    'bupt': (
        'BUPT_CAMPUS',
        'SYNTHETIC_BUPT',
        'SYNTHETIC_PRETRAIN',
        'SYNTHETIC_WARMUP',
        'SYNTHETIC_EVERYDAY',
        'SYNTHETIC_EVERYDAY2',
        'SYNTHETIC_TRACKLETS',
    ),
    'hitsz': ('HITSZ_VCM', 'SYNTHETIC_HITSZ'),
    'own': ('TRACKLETS',),
}

#: Layout of each data set of pictures; its folder is ``DSCREID_`` and its name in capitals.
PICTURES = {'sysu_mm01': 'sysu', 'regdb': 'regdb', 'llcm': 'llcm'}


def render_worlds(folder: Path) -> None:
    """Render the worlds of ``ROOTS``: sixteen training identities each, what the largest batch asks for."""
    size = dict(height=32, width=16, train_ids=16, test_ids=2, tracklets=2, test_tracklets=2)
    for layout in ('bupt', 'hitsz'):
        overrides = dict(auxiliary_ids=0) if layout == 'bupt' else {}
        spec = make_spec('tiny', layout, **size, **overrides)
        render_world(folder / layout, spec, num_processes=1, progress=False)
    make_tracklet_folder(folder / 'hitsz', folder / 'own')


def render_pictures(folder: Path, names: Iterable[str], **sizes: int) -> None:
    """Render a world of pictures in the layout of each data set, in a folder of its name."""
    for name in names:
        spec = make_spec('tiny', PICTURES[name], height=32, width=16, **sizes)
        render_world(folder / name, spec, num_processes=1, progress=False)


def shrink(node):
    """Make all towers of a config tiny, and drop weights to load."""
    if isinstance(node, dict):
        if node.get('type') == 'CLIPVisionTransformer':
            node.update(layers=2, width=32, heads=2, stem=None, pretrained=None)
        if node.get('type') == 'SpatioTemporalPrompting':
            node.update(start_layer=1, num_heads=2)
        if node.get('type') == 'TimmBackbone':
            node.update(pretrained=None)
        if node.get('type') == 'TemporalMemoryCLIP':
            node.update(num_heads=2)
        node = list(node.values())
    if isinstance(node, (list, tuple)):
        for value in node:
            shrink(value)


def shrink_batches(node):
    """Two iterations of two people by two tracklets, in tiny frames."""
    if isinstance(node, dict):
        if node.get('type') == 'PseudoLabelSampler':
            node.update(visible=(2, 2), infrared=(2, 2), iterations=2)
        if node.get('type') == 'IdentitySampler':
            node.update(num_identities=2, num_tracklets=2, iterations=2)
        if node.get('type') == 'LoadFrames':
            node.update(size=(32, 16))
        if node.get('type') == 'CLIPVisionTransformer':
            node.update(image_size=(32, 16))
        node = list(node.values())
    if isinstance(node, (list, tuple)):
        for value in node:
            shrink_batches(value)
