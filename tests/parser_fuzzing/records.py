"""What runs leave behind for later ones: markers, pointers, records, metrics, logs; and paths in configs."""

import json
from pathlib import Path
from typing import Any

import torch
from hypothesis import strategies as st
from mmengine import Config

from dscreid.apis.config import config_hash, load_config
from dscreid.apis.train import finished_checkpoint
from dscreid.datasets import HITSZVCM, BUPTCampus
from dscreid.engine import selection_record
from dscreid.engine.checkpoint_files import last_checkpoint, resumable_checkpoint, trained_checkpoint
from dscreid.engine.hooks import bad_frames_hook
from dscreid.errors import CheckpointError, ConfigError, DatasetError
from dscreid.lab.doctor.stages import datasets_of, stages_of
from dscreid.lab.reproduction.execution import peak_gpu_memory
from dscreid.lab.reproduction.jobs import (
    Job,
    begin_attempt,
    end_attempt,
    is_finished,
    stale_reasons,
)
from dscreid.lab.synthetic import is_complete, make_spec
from dscreid.models.backbones import CLIPVisionTransformer
from dscreid.utils.checkpoint import load_checkpoint
from dscreid.utils.records import write_json
from dscreid.visualization import read_scalars
from dscreid.visualization.sources import read_evaluation
from parser_fuzzing.harness import SECRET, Parser
from parser_fuzzing.mutations import json_values, mutated_json, mutated_text, tokens


def _inside(folder: Path, found: Path | None) -> Path | None:
    """A checkpoint that a run's record names must lie in the run's folder."""
    assert found is None or found.resolve().parent == folder.resolve(), f'outside the run: {found}'
    return found


def _add_checkpoint(folder: Path) -> None:
    torch.save({'state_dict': {'weight': torch.zeros(2)}}, folder / 'epoch_1.pth')


def _config(folder: Path) -> Config:
    return Config(dict(work_dir=str(folder), train_cfg=dict(max_epochs=1)))


_FINISHED = {'config': config_hash(_config(Path())), 'checkpoint': 'epoch_1.pth', 'seconds': 3.5}


def _parse_finished(folder: Path, case: dict[str, Any]) -> object:
    _inside(folder, trained_checkpoint(folder))
    return _inside(folder, finished_checkpoint(_config(folder)))


FINISHED = Parser(
    name='finished.json',
    cases=mutated_json(_FINISHED).map(lambda content: {'finished.json': content}),
    parse=_parse_finished,
    prepare=_add_checkpoint,
    errors=(CheckpointError, ConfigError),
    named=('finished.json',),
)


def _parse_pointer(folder: Path, case: dict[str, Any]) -> object:
    _inside(folder, last_checkpoint(folder))
    return _inside(folder, resumable_checkpoint(folder))


LAST_CHECKPOINT = Parser(
    name='last_checkpoint',
    cases=mutated_text('/somewhere/run/epoch_1.pth\n').map(lambda content: {'last_checkpoint': content}),
    parse=_parse_pointer,
    prepare=_add_checkpoint,
    errors=(CheckpointError,),
    named=('last_checkpoint',),
)

_CRITERIA = {
    'kept': {
        'criterion': 's',
        'rule': 'greater',
        'epoch': 1,
        'value': 0.5,
        'checkpoint': 'best_s_epoch_1.pth',
    },
    'epochs': {'1': {'s': 0.5}, '2': {'s': 0.4}},
}


def _use_criteria(folder: Path, case: dict[str, Any]) -> object:
    record = selection_record.read_record(folder)
    if record.kept is not None:
        selection_record.is_chosen(3, 0.7, record.kept, 'greater')
    return record.with_epoch(4, {'s': 0.1}).write(folder / 'again')


CRITERIA = Parser(
    name='criteria.json',
    cases=mutated_json(_CRITERIA).map(lambda content: {'criteria.json': content}),
    parse=_use_criteria,
    errors=(CheckpointError,),
    named=('criteria.json',),
)

_ENTRY = {
    'index': 'i', 'on_bad_frame': 'substitute', 'count': 1, 'skipped_tracklets': 0,
    'frames': [{'frame': 'a.jpg', 'fault': 'missing'}],
}  # fmt: skip


def _use_bad_frames(folder: Path, case: dict[str, Any]) -> object:
    return write_json(folder / 'again', bad_frames_hook.read_entries(folder) | {'d train': _ENTRY})


BAD_FRAMES = Parser(
    name='bad_frames.json',
    cases=mutated_json({'d train': _ENTRY, 'd test': _ENTRY}).map(lambda content: {'bad_frames.json': content}),
    parse=_use_bad_frames,
    errors=(CheckpointError,),
    named=('bad_frames.json',),
)

_SOURCE_IDENTITY = {'config': 'c', 'seed': 1, 'data': {'train': 'f'}, 'code': 'k', 'sources': {}}
_IDENTITY = {**_SOURCE_IDENTITY, 'sources': {'source': _SOURCE_IDENTITY}}
_CARD = {
    'run': 'r', 'seed': 1, 'identity': _IDENTITY, 'revisions': ['k'], 'attempts': 1, 'metrics': {'rgb2ir/mAP': 0.5},
    'wall_seconds': 1.5,
}  # fmt: skip


def _use_run(folder: Path, case: dict[str, Any]) -> object:
    job = Job('r', folder, ('python', 'x'), identity=_IDENTITY)
    found = stale_reasons(job), is_finished(job)
    end_attempt(job, begin_attempt(job), 2.0, metrics={})
    return found


def _prepare_run(folder: Path) -> None:
    for name in ('metrics.json', 'features.safetensors'):
        (folder / name).touch()


RUN_CARD = Parser(
    name='run_card.json',
    cases=mutated_json(_CARD).map(lambda content: {'run_card.json': content}),
    parse=_use_run,
    prepare=_prepare_run,
    errors=(CheckpointError,),
    named=('run_card.json',),
    remade=True,
)

_METRICS = {'rgb2ir/mAP': 0.5, 'rgb2ir/Rank-1': 0.6, 'checkpoint': {'file': 'a.pth'}}


METRICS = Parser(
    name='metrics.json',
    cases=mutated_json(_METRICS).map(lambda content: {'metrics.json': content}),
    parse=lambda folder, case: read_evaluation(folder / 'metrics.json'),
    errors=(CheckpointError,),
    named=('metrics.json',),
)

_LOG = '\n'.join(
    json.dumps(record)
    for record in (
        {'loss': 1.5, 'epoch': 1, 'iter': 20, 'memory': 300, 'step': 20},
        {'labels/rgb_clusters': 12, 'labels/rgb_identities': 12, 'step': 1},
        {'rgb2ir/mAP': 0.5, 'step': 1},
    )
)


def _use_log(folder: Path, case: dict[str, Any]) -> object:
    peak_gpu_memory(folder)
    return read_scalars(folder / 'run/vis_data/scalars.json')


SCALARS = Parser(
    name='scalars.json',
    cases=(mutated_text(_LOG) | json_values.map(lambda value: json.dumps(value).encode())).map(
        lambda content: {'run/vis_data/scalars.json': content}
    ),
    parse=_use_log,
    prepare=lambda folder: (folder / 'run/vis_data').mkdir(parents=True),
    errors=(CheckpointError,),
    named=('scalars.json',),
)

_SPEC = make_spec('tiny', 'hitsz')
WORLD = Parser(
    name='world.json',
    cases=mutated_json({'renderer': 3, 'spec': _SPEC.to_dict(), 'counts': {}}).map(
        lambda content: {'world.json': content}
    ),
    parse=lambda folder, case: is_complete(folder, _SPEC),
    errors=(DatasetError,),
    named=('world.json',),
    remade=True,
)

_CONFIG = """
data_root = 'data'
model = dict(type='SourceReID', num_classes=1, backbone=dict(
    type='SpatioTemporalPrompting', num_frames=2, start_layer=1, num_heads=2, tower=dict(
        type='CLIPVisionTransformer', image_size=(32, 16), patch_size=8, width=32, layers=2, heads=2,
        activation='gelu', pretrained=None)))
train_dataloader = dict(batch_size=8, num_workers=0, sampler=dict(type='SequentialSampler'),
                        dataset=dict(type='HITSZVCM', root=data_root, split='train'))
"""


def _prepare_config(folder: Path) -> None:
    (folder / 'config.py').write_text(_CONFIG)
    (folder / 'adapt.py').write_text("_base_ = 'config.py'\nsource = dict(config='config.py', checkpoint=None)\n")


_paths = tokens | json_values | st.sampled_from((f'../{SECRET}', f'{SECRET}/../..', '.', '/dev/null', '/proc/self/mem'))


def _tower(pretrained: Any) -> CLIPVisionTransformer:
    return CLIPVisionTransformer(
        image_size=(32, 16),
        patch_size=8,
        width=32,
        layers=2,
        heads=2,
        activation='gelu',
        pretrained=pretrained,
    )


#: Every place of a config, or of a command line, that takes a path.
_PLACES = {
    'data_root': lambda folder, value: load_config(folder / 'config.py', {'data_root': value}),
    'on_bad_frame': lambda folder, value: load_config(folder / 'config.py', {'on_bad_frame': value}),
    'HITSZVCM.root': lambda folder, value: HITSZVCM(value, 'train'),
    'BUPTCampus.root': lambda folder, value: BUPTCampus(value, 'test'),
    'source.config': lambda folder, value: datasets_of(stages_of(folder / 'adapt.py', {'source.config': value})),
    'source.checkpoint': lambda folder, value: load_checkpoint(value),
    'config': lambda folder, value: load_config(value),
    'pretrained': lambda folder, value: _tower(value).init_weights(),
}


def _use_path(folder: Path, case: dict[str, Any]) -> object:
    return _PLACES[case['place'].decode()](folder, json.loads(case['value.json']))


CONFIG_PATHS = Parser(
    name='paths in configs',
    cases=st.fixed_dictionaries(
        {
            'place': st.sampled_from(sorted(_PLACES)).map(str.encode),
            # the message repeats the value, and what prints it puts it on one line
            'value.json': _paths.filter(lambda value: not isinstance(value, str) or '\n' not in value).map(
                lambda value: json.dumps(value).encode()
            ),
        }
    ),
    parse=_use_path,
    prepare=_prepare_config,
    errors=(ConfigError, DatasetError, CheckpointError),
    named=('',),  # the value itself, which may be empty
)

PARSERS = (
    FINISHED, LAST_CHECKPOINT, CRITERIA, BAD_FRAMES, RUN_CARD, METRICS, SCALARS, WORLD, CONFIG_PATHS,
)  # fmt: skip
