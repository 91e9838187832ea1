"""Describe what a run would do: build everything, but train nothing."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmengine import Config
from mmengine.dist import get_world_size
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from dscreid.apis import train
from dscreid.apis.config import config_name
from dscreid.apis.config_check import check_run
from dscreid.apis.preflight import check_stage, quiet_runner, try_runner
from dscreid.apis.test import why_no_evaluation
from dscreid.distributed import process_group
from dscreid.engine.checkpoint_files import resumable_checkpoint
from dscreid.engine.hooks import find_cluster_hook
from dscreid.engine.source_weights import load_source_weights, unwrap_model


def plan_experiment(config_path: str | Path, options: train.RunOptions) -> str:
    """Build every stage of an experiment, send two tracklets of each set through it, and describe it.

    Everything is built as in the run, and weights files are read. Nothing is written outside a temporary folder.

    Raises:
        DscreidError: If something cannot be used; the message says how to fix it, as in the run.
    """
    config = train.prepare(config_path, options)
    check_run(config, config_name(config))
    if config.get('train_cfg') is None:
        check_stage(config)
    lines = [f'{config_name(config)}: a dry run, nothing is trained or written']
    stages = [stage for stage in train.check_folder(config, options) if stage[0].get('train_cfg') is not None]
    with process_group(config.launcher, config.get('env_cfg', {}).get('dist_cfg')):
        for number, (stage, own_options) in enumerate(stages, start=1):
            lines += [f'{number}. {config_name(stage)} in {stage.work_dir}', *_describe(stage, own_options)]
    if (reason := why_no_evaluation(config)) is not None:
        lines.append(f'then no evaluation: {reason}')
    else:
        protocol = config.test_evaluator.get('protocol', config.test_evaluator.type)
        lines.append(f'then evaluation by {protocol}, metrics in {Path(config.work_dir) / "metrics.json"}')
    return '\n'.join(lines)


def _describe(config: Config, options: train.RunOptions) -> list[str]:
    work_dir = Path(config.work_dir)
    named = train.named_source(config, options)
    finished = train.finished_checkpoint(config, named, may_extend=True) if options.resume else None
    if finished is not None:
        return [f'   is finished: {finished.name} is used as it is']
    resumed = resumable_checkpoint(work_dir) if options.resume else None
    with tempfile.TemporaryDirectory(prefix='dscreid_dry_run_') as folder:
        runner = quiet_runner(config, folder, resumed, named)
        model = unwrap_model(runner.model)
        if resumed is not None:
            start = f'continues after {resumed.name}'
        elif named is not None:
            load_source_weights(model, named, options.partial_source)
            start = f'starts from {named}'
        elif train.source_stage(config, options) is not None:
            start = 'starts from the stage before'
        else:
            model.init_weights()
            start = 'starts from its own initial weights'
        return [f'   {start}', *_describe_parts(runner), f'   {try_runner(runner)}']


def _describe_parts(runner: Runner) -> Iterator[str]:
    loop, model = runner.train_loop, unwrap_model(runner.model)
    loader, wrapper = loop.dataloader, runner.optim_wrapper
    test = 'none' if runner.test_loop is None else _describe_data(runner.test_loop.dataloader)
    yield f'   data: {_describe_data(loader)}; test: {test}'
    yield (
        f'   model: {type(model).__name__} of {sum(p.numel() for p in model.parameters()) / 1e6:.1f} M parameters on '
        f'{next(model.parameters()).device}, {type(model.backbone).__name__}'
    )
    yield (
        f'   training: {loop.max_epochs} epochs of {len(loader)} iterations of {loader.batch_size * get_world_size()} '
        f'tracklets, {type(wrapper.optimizer).__name__} with learning rates up to '
        f'{max(wrapper.get_lr().get("lr", [0.0])):g}, {type(wrapper).__name__}, seed {runner.seed}'
    )
    losses = [
        type(part).__name__ for name, part in model.named_modules() if name.endswith('_loss') or '_losses.' in name
    ]
    if (hook := find_cluster_hook(runner)) is not None:
        labelers = ', '.join(type(labeler).__name__ for labeler in hook.labelers)
        yield f'   losses: {", ".join(losses)}; labelers: {labelers}'
    yield f'   hooks: {", ".join(type(hook).__name__ for hook in runner.hooks)}'


def _describe_data(loader: DataLoader) -> str:
    dataset: Any = loader.dataset
    counts = ' and '.join(f'{len(dataset.indices(name))} {name}' for name in ('rgb', 'ir'))
    return f'{type(dataset).__name__} {dataset.split} in {dataset.root}, {counts} tracklets'
