"""The whole experiment: source stage, adaptation, evaluation."""

import copy
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mmengine import Config
from mmengine.dist import barrier, is_main_process
from mmengine.logging import print_log
from mmengine.runner import Runner

from dscreid.apis.config import config_hash, config_name, fit_to_machine, load_config, require_keys
from dscreid.apis.config_check import check_parts
from dscreid.apis.selection import choose_checkpoint
from dscreid.apis.test import evaluate, unique_name, write_json
from dscreid.engine.source_weights import check_resumable, unwrap_model
from dscreid.engine.training_data import check_batch_size, check_num_classes
from dscreid.errors import CheckpointError, ConfigError
from dscreid.models.backbones import skip_pretrained
from dscreid.registry import DATASETS
from dscreid.utils.build_errors import config_errors
from dscreid.utils.checkpoint import load_checkpoint
from dscreid.utils.files import existing_file
from dscreid.utils.records import file_beside, read_json_object
from dscreid.utils.safe_globals import allow_mmengine_globals

FINISHED_FILE = 'finished.json'
_FINISHED, _REMEDY = 'record of a finished stage', 'remove it and run again with --resume'


@dataclass(frozen=True)
class RunOptions:
    """How to run a config.

    Attributes:
        work_dir: Folder of the run; None for ``work_dirs/<config's name>``. The source stage of a run lies
            beside it, under the name of its own config, so that runs on one source share it.
        resume: Continue from the last checkpoint in the work directory.
        amp: Train in bfloat16 mixed precision (on a GPU).
        seed: Seed in place of the config's.
        launcher: ``none``, ``pytorch``, ``slurm`` or ``mpi``, as MMEngine's Runner.
        source_checkpoint: Source weights in place of the config's.
        config_options: Overrides of the config by dotted key; they hold for the named config, not its source.
    """

    work_dir: Path | None = None
    resume: bool = False
    amp: bool = False
    seed: int | None = None
    launcher: str = 'none'
    source_checkpoint: Path | None = None
    config_options: dict[str, Any] = field(default_factory=dict)


def run_experiment(config_path: str | Path, options: RunOptions) -> dict[str, float]:
    """Train a config, its source stage first where it names one, and evaluate the last checkpoint.

    With a ``criterion`` in ``default_hooks.selection`` (see ``SelectionHook``) it evaluates the checkpoint that the
    criterion chose instead, and ``metrics.json`` says which and why. A config without ``train_cfg`` (the baseline CD)
    is evaluated with its source stage's weights.

    Args:
        config_path: The config.
        options: How to run it.

    Returns:
        Test metrics in [0, 1]; they and the features of the test set are also written to ``metrics.json`` and
        ``features.safetensors`` in the work directory.

    Raises:
        DscreidError: Config, data or weights cannot be used; the message names the remedy.
    """
    config = _prepare(config_path, options)
    require_keys(config, 'model', 'test_dataloader', 'test_evaluator')
    work_dir = Path(config.work_dir)
    source = _source_checkpoint(config, options)
    note = {}
    if config.get('train_cfg') is not None:
        last = train_stage(config, resume=options.resume, source_checkpoint=source)
        checkpoint, note = choose_checkpoint(config, last)
    elif source is not None:
        checkpoint = source
    else:
        raise ConfigError(f'{config_path}: neither a train_cfg nor a source; there is nothing to run')
    return evaluate(
        config,
        checkpoint,
        work_dir,
        out=work_dir / 'metrics.json',
        dump_features=work_dir / 'features.safetensors',
        launcher=options.launcher,
        note=note,
    )


def train_stage(config: Config, resume: bool = False, source_checkpoint: Path | None = None) -> Path:
    """Run one stage to its last epoch.

    Args:
        config: The stage's config with its ``work_dir``; left as it is.
        resume: Continue from the last checkpoint; a finished stage is taken as it is.
        source_checkpoint: Weights to start from.

    Returns:
        Path of the last checkpoint.

    Raises:
        DscreidError: Config, data or weights cannot be used; nothing but logs is written then.
    """
    work_dir = Path(config.work_dir)
    digest = config_hash(config)
    if resume and (finished := finished_checkpoint(work_dir, digest)) is not None:
        print_log(f'{work_dir}: finished before, taken as it is', logger='current')
        return finished
    start = time.perf_counter()
    resumed = last_checkpoint(work_dir) if resume else None
    runner = _build_runner(config, resumed, source_checkpoint)
    # now the run is sure to start: an interrupted second one must not look like a finished one
    if is_main_process():
        (work_dir / FINISHED_FILE).unlink(missing_ok=True)
    runner.train()
    checkpoint = last_checkpoint(work_dir)
    if is_main_process():
        content = dict(
            config=digest, checkpoint=checkpoint.name, seconds=round(time.perf_counter() - start, 1)
        )
        write_json(work_dir / FINISHED_FILE, content)
    barrier()
    return checkpoint


def finished_checkpoint(work_dir: Path, digest: str) -> Path | None:
    """The last checkpoint of a stage that ran to its end, or None where it did not.

    Raises:
        ConfigError: The stage ran with another config.
        CheckpointError: The record is damaged.
    """
    marker = work_dir / FINISHED_FILE
    if not marker.is_file():
        return None
    content = read_json_object(marker, _FINISHED, _REMEDY)
    checkpoint = finished_name(marker, content)
    if content.get('config') != digest:
        raise ConfigError(
            f'{marker}: this run was made with another config or seed; choose a --work-dir in '
            'another folder (source stages lie beside it), remove this run, or, to use its weights as a source all the '
            'same, name them with --source-checkpoint'
        )
    return existing_file(checkpoint)


def last_checkpoint(work_dir: Path) -> Path | None:
    """The newest checkpoint of a run, looked for in ``work_dir`` by its name; None before the first.

    Raises:
        CheckpointError: It was removed.
    """
    pointer = work_dir / 'last_checkpoint'
    if not pointer.is_file():
        return None
    try:
        checkpoint = file_beside(pointer, pointer.read_text(encoding='utf-8'))
    except (OSError, UnicodeDecodeError):
        checkpoint = None
    if checkpoint is None or existing_file(checkpoint) is None:
        named = 'no file' if checkpoint is None else f'{repr(checkpoint.name[:100])[1:-1]}, which is missing'
        raise CheckpointError(
            f'{pointer}: names {named}; write the name of another checkpoint there, or run without --resume'
        )
    return checkpoint


def finished_name(marker: Path, content: dict[str, Any]) -> Path:
    """The checkpoint that the record of a finished stage names, in the record's folder.

    Raises:
        CheckpointError: It names none.
    """
    checkpoint = file_beside(marker, content.get('checkpoint'))
    if checkpoint is None:
        raise CheckpointError(f'{marker}: is no {_FINISHED} (it names no checkpoint); {_REMEDY}')
    return checkpoint


def _build_runner(config: Config, resumed: Path | None, source_checkpoint: Path | None) -> Runner:
    """A runner whose parts are all built and fit together, so that bad input ends before the first epoch."""
    config = copy.deepcopy(config)
    config.experiment_name = unique_name(config.work_dir)
    if config.model.type == 'SourceReID' and config.model.get('num_classes') is None:
        config.model.num_classes = DATASETS.build(config.train_dataloader.dataset).num_classes
    config.resume, config.load_from = resumed is not None, resumed and str(resumed)
    if source_checkpoint is not None:
        config.default_hooks.source_weights = dict(
            type='SourceWeightsHook', checkpoint=str(source_checkpoint)
        )
    allow_mmengine_globals()
    with config_errors(config_name(config)):
        runner = Runner.from_cfg(config)
        loader = runner.train_loop.dataloader
        runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
        if runner.param_schedulers is not None:
            runner.param_schedulers = runner.build_param_scheduler(runner.param_schedulers)
        _ = runner.val_loop or runner.test_loop
    check_batch_size(loader)
    if config.model.type == 'SourceReID':
        check_num_classes(loader, config.model.num_classes)
    if resumed is not None:
        check_resumable(unwrap_model(runner.model), resumed)
    if resumed is not None or source_checkpoint is not None:
        skip_pretrained(runner.model)
    return runner


def _prepare(config_path: str | Path, options: RunOptions) -> Config:
    """The config as this run executes it."""
    config = load_config(config_path, options.config_options)
    require_keys(config, 'model')
    if config.get('load_from') is not None:
        raise ConfigError(
            f'{config_path}: load_from is not used here; name weights to start from with --source-checkpoint'
        )
    config.work_dir = str(options.work_dir or Path('work_dirs') / Path(config_path).stem)
    config.launcher = options.launcher
    if options.seed is not None:
        config.setdefault('randomness', {})['seed'] = options.seed
    fit_to_machine(config, options.amp)
    return config


def _can_continue(config: Config) -> bool:
    """Whether the run left a checkpoint to train on from, which holds what it took from its source."""
    return config.get('train_cfg') is not None and last_checkpoint(Path(config.work_dir)) is not None


def _source_checkpoint(config: Config, options: RunOptions) -> Path | None:
    """Where the source weights are: named, finished before, or trained now; None where a resumed run needs none."""
    source = config.get('source') or {}
    named = options.source_checkpoint or source.get('checkpoint')
    if named is not None:
        load_checkpoint(named)  # an unusable file is refused before anything long starts
        return Path(named)
    if not source or (options.resume and _can_continue(config)):
        return None
    source_path = Path(source.config)
    source_dir = Path(config.work_dir).parent / source_path.stem
    source_options = replace(options, work_dir=source_dir, resume=True, config_options={})
    source_config = _prepare(source_path, source_options)
    if finished_checkpoint(source_dir, config_hash(source_config)) is None:
        print_log(f'source stage: {source_path.name} in {source_dir} comes first', logger='current')
        check_parts(config, config_name(config))
        weights = _source_checkpoint(source_config, source_options)
        return train_stage(source_config, resume=True, source_checkpoint=weights)
    return train_stage(source_config, resume=True)
