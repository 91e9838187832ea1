"""Configs of runs that take seconds: a tower of two blocks on worlds of six people."""

import json
import shutil
from pathlib import Path

import torch

from dscreid.utils.checkpoint import load_checkpoint

CONFIGS = Path(__file__).parents[1] / 'configs'

_TEMPLATE = """
_base_ = {runtime!r}
default_hooks = dict(logger=dict(interval=1))
visualizer = dict(vis_backends=[dict(type='LocalVisBackend')])
data_root = {root!r}
num_frames = 2
frame_size = (32, 16)

train_pipeline = [
    dict(type='SampleFrames', rule='sorted_random'),
    dict(type='LoadFrames'),
    dict(type='PackTracklet'),
]
eval_pipeline = [
    dict(type='SampleFrames', rule='linspace'),
    dict(type='LoadFrames'),
    dict(type='PackTracklet'),
]
train_dataloader = dict(
    num_workers=0,
    persistent_workers=True,
    sampler=dict({sampler}),
    dataset=dict(type={dataset!r}, split='train', labelled={labelled},
                 expected_statistics=None, pipeline=train_pipeline),
)
test_dataloader = dict(
    batch_size=16,
    num_workers=0,
    sampler=dict(type='SequentialSampler'),
    dataset=dict(type={dataset!r}, split='test', expected_statistics=None),
)
val_dataloader = test_dataloader
test_evaluator = dict(type='ReIDMetric', protocol={protocol!r})
val_evaluator = test_evaluator
backbone = dict(
    type='SpatioTemporalPrompting', start_layer=1, num_heads=2,
    tower=dict(type='CLIPVisionTransformer', patch_size=8, width=32, layers=2, heads=2,
               activation='gelu', pretrained=None),
)
data_preprocessor = dict(
    type='TrackletDataPreprocessor',
    augmentation=dict(flip=0.5, pad=2, erase=dict(probability=0.5), visible_views={views}, infrared_views=('plain',)),
)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-3))
param_scheduler = [dict(type='CosineAnnealingLR', begin=0, end=2, by_epoch=True, convert_to_iter_based=True)]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=2, val_interval=2)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
"""

_SOURCE = """
model = dict(type='SourceReID', num_classes=None, backbone=backbone, data_preprocessor=data_preprocessor)
"""

_ADAPT = """
source = dict(config='tiny_source.py', checkpoint=None)
model = dict(
    type='AdaptiveReID', backbone=backbone, data_preprocessor=data_preprocessor,
    neighbor_losses=[
        dict(type='NeighborContrastiveLoss', pairs=('vv', 'tt')),
        dict(type='NeighborContrastiveLoss', pairs=('vt', 'tv'), weight=0.5, begin=1),
    ],
    memories=dict(cluster=dict(momentum=0.1), instance=dict(momentum=0.9)),
)
clustering = dict(k1=6, k2=2, eps=0.7, min_samples=2)
default_hooks.update(
    cluster=dict(
        type='ClusterHook',
        batch_size=16,
        labelers=[
            dict(type='ClusterLabeler', begin_epoch=0),
            dict(type='DSLULabeler', begin_epoch=1, clustering=dict(type='ClusterLabeler'),
                 inter=dict(topk=4), intra=dict(topk=4)),
        ],
    ),
    memory=dict(type='MemoryUpdateHook'),
)
"""


def read_figures(work_dir: Path) -> dict[str, float]:
    """Read the metrics of a run, without those of other rankings and notes."""
    content = json.loads((work_dir / 'metrics.json').read_text())
    return {name: value for name, value in content.items() if isinstance(value, float)}


def write_tiny_configs(folder: Path, bupt: Path, hitsz: Path, changes: str = '') -> tuple[Path, Path]:
    """Write ``tiny_source.py`` (BUPTCampus) and ``tiny_dsc.py`` (HITSZVCM); return their paths.

    ``changes`` is Python that is appended to the second.
    """
    runtime = str(CONFIGS / '_base_' / 'default_runtime.py')
    source, adapt = folder / 'tiny_source.py', folder / 'tiny_dsc.py'
    folder.mkdir(parents=True, exist_ok=True)
    source.write_text(
        _TEMPLATE.format(
            runtime=runtime,
            root=str(bupt),
            dataset='BUPTCampus',
            protocol='bupt_campus',
            labelled=True,
            sampler="type='IdentitySampler', num_identities=2, num_tracklets=2, iterations=3",
            views=('plain_or_exchange',),
        )
        + _SOURCE
    )
    adapt.write_text(
        _TEMPLATE.format(
            runtime=runtime,
            root=str(hitsz),
            dataset='HITSZVCM',
            protocol='hitsz_vcm',
            labelled=False,
            sampler="type='PseudoLabelSampler', visible=(2, 2), infrared=(2, 2), iterations=3",
            views=('plain', 'channel_exchange'),
        )
        + _ADAPT
        + changes
    )
    return source, adapt


def damage_optimizer(checkpoint: Path) -> None:
    """Give the optimizer of a checkpoint, whose weights stay sound, a group of parameters too many."""
    content = load_checkpoint(checkpoint)
    content['optimizer']['param_groups'] *= 2
    torch.save(content, checkpoint)


def infrared_queries(bupt: Path, copy: Path) -> Path:
    """Copy a world in BUPTCampus' layout, with visible queries moved to the gallery, as protocol hitsz_vcm needs it."""
    shutil.copytree(bupt, copy)
    lines = (bupt / 'query.txt').read_text().splitlines(keepends=True)
    (copy / 'query.txt').write_text(''.join(line for line in lines if ' IR ' in line))
    with (copy / 'gallery.txt').open('a') as gallery:
        gallery.writelines(line for line in lines if ' RGB ' in line)
    return copy
