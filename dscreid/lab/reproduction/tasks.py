"""Tasks of an experiment other than ``tools/train.py``, each in a process of its own."""

import functools
import json
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dscreid.apis.command_line import run_command
from dscreid.apis.config import fit_to_machine, load_config
from dscreid.apis.run_folder import FEATURES_FILE, METRICS_FILE
from dscreid.apis.test import Evaluation, evaluate, write_json
from dscreid.errors import DatasetError
from dscreid.evaluation import FeatureTable, ReIDMetric, load_features
from dscreid.lab.reproduction.execution import die_with
from dscreid.lab.synthetic import WorldSpec, render_world
from dscreid.registry import MODELS


def view_metrics(table: FeatureTable, view: str, protocol: str) -> dict[str, float]:
    """Rank the features of a finished run in another way, and return the metrics in [0, 1] of ``ReIDMetric``.

    ``'raw'`` ranks both halves concatenated, as VLD does; ``'static'`` and ``'dynamic'`` rank one half, L2-normalized.
    """
    if table.static is None or table.dynamic is None:
        raise DatasetError('the feature file holds no raw halves; write it with dscreid test --dump-features')
    if view == 'raw':
        feature = np.concatenate([table.static, table.dynamic], axis=1)
    else:
        half = table.static if view == 'static' else table.dynamic
        feature = half / np.maximum(np.linalg.norm(half, axis=1, keepdims=True), 1e-12)
    facts = ('pid', 'camera', 'modality', 'is_query', 'index')
    columns = {'feature': feature, **{name: getattr(table, name) for name in facts}}
    records = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return ReIDMetric(protocol).compute_metrics(records)


def render(root: str, spec: dict[str, Any]) -> None:
    """Render a world and replace an unfinished one."""
    # Workers of a killed renderer must also end. Otherwise they would wait for work forever.
    os.register_at_fork(after_in_child=functools.partial(die_with, os.getpid()))
    render_world(root, WorldSpec(**spec), overwrite=True, progress=False)


def rank_view(features: str, protocol: str, view: str, out: str) -> None:
    """Rank the features of a finished run in another way and write the metrics."""
    metrics = view_metrics(load_features(features), view, protocol)
    reason = None if metrics else f'no tracklet of {features} has a person id'
    write_json(Path(out), Evaluation(metrics, features, reason).record())


def test_untrained(config: str, work_dir: str) -> None:
    """Test the pre-trained tower of a config of SourceReID: the mean of its frame features, without prompts."""
    settings, folder = load_config(config), Path(work_dir)
    fit_to_machine(settings)
    # prompts are random before the source stage and would disturb the tower's tokens
    settings.model.backbone = dict(type='FrameAverage', tower=settings.model.backbone.tower)
    settings.model.retrieval = 'raw'
    settings.test_evaluator.feature = 'static'
    model = MODELS.build(settings.model | {'num_classes': 1})
    model.init_weights()
    with tempfile.TemporaryDirectory() as temporary:
        weights = Path(temporary) / 'untrained.pth'
        torch.save(dict(state_dict=model.state_dict()), weights)
        out, features = folder / METRICS_FILE, folder / FEATURES_FILE
        evaluate(settings, weights, folder, out=out, dump_features=features)


def main(argv: Sequence[str]) -> None:
    """Run one task by its name, with its arguments as a JSON object."""
    tasks: dict[str, Callable[..., None]] = {'render': render, 'view': rank_view, 'untrained': test_untrained}
    tasks[argv[0]](**json.loads(argv[1]))


if __name__ == '__main__':
    run_command(lambda: main(sys.argv[1:]))
