"""Try a stage before a long run: build all of it, send two tracklets of each set through it, make a training step."""

import copy
import tempfile
from pathlib import Path
from typing import Any

import torch
from mmengine import Config
from mmengine.runner import Runner, TestLoop, ValLoop
from torch.utils.data import DataLoader

from dscreid.apis.build import build_runner
from dscreid.apis.config import config_name
from dscreid.apis.config_check import check_parts
from dscreid.apis.evaluation_check import check_evaluations
from dscreid.apis.trial_step import explained, try_step
from dscreid.apis.vis_backends import without_backends
from dscreid.engine.hooks import find_cluster_hook
from dscreid.engine.source_weights import unwrap_model
from dscreid.errors import ConfigError
from dscreid.models.reid import BaseReID

_TRIED = 2  # tracklets per set


def check_stage(config: Config) -> None:
    """Build a stage and send two tracklets through it, before another stage takes hours.

    Raises:
        DscreidError: If something cannot be used; the message says how to fix it.
    """
    if config.get('train_cfg') is None:
        check_parts(config, config_name(config))
        check_evaluations(config)
        return
    with tempfile.TemporaryDirectory(prefix='dscreid_check_') as folder:
        try_tracklets(quiet_runner(config, folder, None, None))


def quiet_runner(config: Config, folder: str, resumed: Path | None, source: Path | None) -> Runner:
    """Build a stage's runner for a trial, with its logs in a temporary folder; see ``build_runner``."""
    config = copy.deepcopy(config)
    config.work_dir, config.log_level = folder, 'ERROR'
    without_backends(config)
    return build_runner(config, resumed, source)


def try_tracklets(runner: Runner) -> str:
    """Decode and encode two tracklets of each set, and make one training step; return a line that describes it.

    The runner must not be used afterwards.

    Raises:
        DscreidError: If a frame cannot be read, or the encoder does not accept the pipeline's output.
    """
    model = unwrap_model(runner.model)
    dimension = _encode(model, runner.train_loop.dataloader, training=True)
    loops = [loop for loop in (runner.val_loop, runner.test_loop) if loop is not None]
    if (hook := find_cluster_hook(runner)) is not None:
        hook.before_train(runner)  # builds its loader
    for owner in (*loops, hook):
        if owner is not None:
            _encode(model, owner.dataloader, training=False)
    for loop in loops:
        _try_metrics(model, loop)
    try_step(runner)
    tracklets = f'{_TRIED} tracklets of each set decoded and encoded'
    return f'tried: {tracklets}, features of {dimension} numbers per half; one training step'


@torch.no_grad()
def _try_metrics(model: BaseReID, loop: ValLoop | TestLoop) -> None:
    """Pass two tracklets to the metrics of a loop."""
    dataset = loop.dataloader.dataset
    batch = loop.dataloader.collate_fn([dataset[number] for number in range(min(_TRIED, len(dataset)))])
    with explained('evaluation'):
        loop.evaluator.process(data_samples=model.val_step(batch), data_batch=batch)
    for metric in loop.evaluator.metrics:
        metric.results.clear()


@torch.no_grad()
def _encode(model: BaseReID, loader: DataLoader, training: bool) -> int:
    """Send the first tracklets of a dataset through pipeline, preprocessing and model; return the feature dimension.

    The loader's sampler is not used, because a sampler for pseudo labels yields nothing before there are any.
    """
    dataset: Any = loader.dataset
    items = [dataset[number] for number in range(min(_TRIED, len(dataset)))]
    if not all(isinstance(item, dict) and {'inputs', 'data_samples'} <= item.keys() for item in items):
        raise ConfigError(
            f'the pipeline of {type(dataset).__name__} {dataset.split} gives no inputs and data_samples; it must load '
            "frames and end with dict(type='PackTracklet')"
        )
    batch = model.data_preprocessor(loader.collate_fn(items), training=training)
    model.eval()
    try:
        static, _ = model.extract_feat(batch['inputs'], model.modalities_of(batch['data_samples']))
    except (ValueError, RuntimeError) as error:
        encoder, shape = type(model.backbone).__name__, tuple(batch['inputs'].shape)
        reason = ' '.join(str(error).split())
        raise ConfigError(
            f'{encoder} cannot encode what the pipeline gives, inputs of shape {shape}: {reason}; size and num_frames '
            'of pipeline and backbone must agree'
        ) from error
    return static.shape[1]
