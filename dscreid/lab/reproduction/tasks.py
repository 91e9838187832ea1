"""Tasks of an experiment other than ``tools/train.py``: ``python -m dscreid.lab.reproduction.tasks --help``."""

import argparse
import functools
import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from dscreid.apis.command_line import run_command
from dscreid.apis.config import fit_to_machine, load_config
from dscreid.apis.evaluation import Evaluation
from dscreid.apis.run_folder import FEATURES_FILE, METRICS_FILE
from dscreid.apis.test import evaluate, write_json
from dscreid.errors import DatasetError
from dscreid.evaluation import FeatureTable, ReIDMetric, load_features
from dscreid.lab.reproduction.execution import die_with
from dscreid.lab.reproduction.experiments import VIEWS
from dscreid.lab.synthetic import WorldSpec, render_world
from dscreid.registry import MODELS


def view_metrics(table: FeatureTable, view: str, protocol: str) -> dict[str, float]:
    """Rank the features of a finished run in another way, without extracting them again.

    Args:
        table: Features of N tracklets with both raw halves, float32 (N, D).
        view: ``'raw'`` ranks both raw halves concatenated, as VLD does; ``'static'`` and ``'dynamic'`` rank one half,
            L2-normalized.
        protocol: Name of the evaluation protocol.

    Returns:
        Metrics in [0, 1], with the keys of ``ReIDMetric``.

    Raises:
        DatasetError: If the table has no raw halves.
    """
    if table.static is None or table.dynamic is None:
        raise DatasetError('the feature file holds no raw halves; write it with dscreid test --dump-features')
    if view == 'raw':
        feature = np.concatenate([table.static, table.dynamic], axis=1)
    else:
        half = table.static if view == 'static' else table.dynamic
        feature = half / np.maximum(np.linalg.norm(half, axis=1, keepdims=True), 1e-12)
    facts = ('pid', 'camera', 'modality', 'is_query', 'index')
    records = [
        {'feature': feature[row], **{name: getattr(table, name)[row] for name in facts}}
        for row in range(len(table))
    ]
    return ReIDMetric(protocol).compute_metrics(records)


def render(arguments: argparse.Namespace) -> None:
    """Render a world and replace an unfinished one."""
    # Workers of a killed renderer must also end. Otherwise they would wait for work forever.
    os.register_at_fork(after_in_child=functools.partial(die_with, os.getpid()))
    render_world(arguments.root, WorldSpec(**json.loads(arguments.spec)), overwrite=True, progress=False)


def rank_view(arguments: argparse.Namespace) -> None:
    """Rank the features of a finished run in another way."""
    metrics = view_metrics(load_features(arguments.features), arguments.view, arguments.protocol)
    reason = None if metrics else f'no tracklet of {arguments.features} has a person id'
    write_json(arguments.out, Evaluation(metrics, arguments.features, reason).record())


def test_untrained(arguments: argparse.Namespace) -> None:
    """Test the pre-trained tower of a config without training: the mean of its frame features, without prompts."""
    config = load_config(arguments.config)
    fit_to_machine(config)
    # prompts are random before the source stage and would disturb the tower's tokens
    config.model.backbone = dict(type='FrameAverage', tower=config.model.backbone.tower)
    config.model.retrieval = 'raw'
    config.test_evaluator.feature = 'static'
    model = MODELS.build(config.model | {'num_classes': 1})
    model.init_weights()
    work_dir = arguments.work_dir
    out, features = work_dir / METRICS_FILE, work_dir / FEATURES_FILE
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / 'untrained.pth'
        torch.save(dict(state_dict=model.state_dict()), weights)
        evaluate(config, weights, work_dir, out=out, dump_features=features)


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog='python -m dscreid.lab.reproduction.tasks', description=__doc__)
    tasks = parser.add_subparsers(required=True, metavar='TASK')
    task = tasks.add_parser('render', help='render a world')
    task.add_argument('--root', type=Path, required=True, help='folder of the world')
    task.add_argument('--spec', required=True, help='fields of WorldSpec as JSON')
    task.set_defaults(run=render)
    task = tasks.add_parser('view', help='rank the features of a finished run in another way')
    task.add_argument('--features', type=Path, required=True, help='features.safetensors of the run')
    task.add_argument('--protocol', required=True, help='evaluation protocol')
    task.add_argument('--view', choices=VIEWS, required=True, help='what to rank')
    task.add_argument('--out', type=Path, required=True, help='JSON file for the metrics')
    task.set_defaults(run=rank_view)
    task = tasks.add_parser('untrained', help='test the pre-trained tower of a config without training')
    task.add_argument('--config', type=Path, required=True, help='a config of SourceReID')
    task.add_argument('--work-dir', type=Path, required=True, help='folder for metrics and features')
    task.set_defaults(run=test_untrained)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Run one task."""
    arguments = parse_arguments(argv)
    arguments.run(arguments)


if __name__ == '__main__':
    run_command(main)
