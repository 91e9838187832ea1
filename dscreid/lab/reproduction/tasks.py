"""Tasks of an experiment other than ``tools/train.py``, each in a process of its own."""

import functools
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from dscreid.apis.command_line import run_command
from dscreid.apis.config import fit_to_machine, load_config
from dscreid.apis.run_folder import FEATURES_FILE, METRICS_FILE
from dscreid.apis.test import evaluate
from dscreid.lab.reproduction.execution import die_with
from dscreid.lab.synthetic import WorldSpec, render_world
from dscreid.registry import MODELS


def render(root: str, spec: dict[str, Any]) -> None:
    """Render a world and replace an unfinished one."""
    # Workers of a killed renderer must also end. Otherwise they would wait for work forever.
    os.register_at_fork(after_in_child=functools.partial(die_with, os.getpid()))
    render_world(root, WorldSpec(**spec), overwrite=True, progress=False)


def test_untrained(config: str, work_dir: str) -> None:
    """Test the pre-trained tower of a config of SourceReID: the mean of its frame features, without prompts."""
    settings, folder = load_config(config), Path(work_dir)
    fit_to_machine(settings)
    # prompts are random before the source stage and would disturb the tower's tokens
    settings.model.backbone = dict(type='FrameAverage', tower=settings.model.backbone.tower)
    settings.model.ranking = 'raw_static'
    model = MODELS.build(settings.model | {'num_classes': 1})
    model.init_weights()
    with tempfile.TemporaryDirectory() as temporary:
        weights = Path(temporary) / 'untrained.pth'
        torch.save(dict(state_dict=model.state_dict()), weights)
        out, features = folder / METRICS_FILE, folder / FEATURES_FILE
        evaluate(settings, weights, folder, out=out, dump_features=features)


def main(task: str, arguments: str) -> None:
    """Run one task by its name, with its arguments as a JSON object."""
    tasks: dict[str, Callable[..., None]] = {'render': render, 'untrained': test_untrained}
    tasks[task](**json.loads(arguments))


if __name__ == '__main__':
    run_command(lambda: main(*sys.argv[1:]))
