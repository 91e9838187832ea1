"""The whole experiment: source stage, adaptation, evaluation."""

import json
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mmengine import Config
from mmengine.dist import barrier, is_main_process
from mmengine.logging import print_log
from mmengine.runner import Runner

from dscreid.apis.config import config_hash, fit_to_machine, load_config
from dscreid.apis.test import evaluate, write_json
from dscreid.errors import CheckpointError, ConfigError
from dscreid.models.backbones import skip_pretrained
from dscreid.registry import DATASETS
from dscreid.utils.checkpoint import load_checkpoint
from dscreid.utils.safe_globals import allow_mmengine_globals

FINISHED_FILE = 'finished.json'


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

    A config without ``train_cfg`` (the baseline CD) is evaluated with its source stage's weights.

    Args:
        config_path: The config.
        options: How to run it.

    Returns:
        Test metrics in [0, 1]; they and the features of the test set are also written to ``metrics.json`` and
        ``features.safetensors`` in the work directory.

    Raises:
        DscreidError: Config, data or weights cannot be used; the message names the remedy.
    """
    allow_mmengine_globals()
    config = _prepare(config_path, options)
    work_dir = Path(config.work_dir)
    source = _source_checkpoint(config, options)
    if config.get('train_cfg') is None:
        if source is None:
            raise ConfigError(f'{config_path}: neither a train_cfg nor a source; there is nothing to run')
        checkpoint = source
    else:
        checkpoint = train_stage(config, resume=options.resume, source_checkpoint=source)
    return evaluate(
        config,
        checkpoint,
        work_dir,
        out=work_dir / 'metrics.json',
        dump_features=work_dir / 'features.safetensors',
        launcher=options.launcher,
    )


def train_stage(config: Config, resume: bool = False, source_checkpoint: Path | None = None) -> Path:
    """Run one stage to its last epoch.

    Args:
        config: The stage's config with its ``work_dir``; left as it is.
        resume: Continue from the last checkpoint; a finished stage is taken as it is.
        source_checkpoint: Weights to start from.

    Returns:
        Path of the last checkpoint.
    """
    work_dir = Path(config.work_dir)
    digest = config_hash(config)
    if resume and (finished := finished_checkpoint(work_dir, digest)) is not None:
        print_log(f'{work_dir}: finished before, taken as it is', logger='current')
        return finished
    # the marker first: an interrupted second run must not look like a finished one
    if is_main_process():
        (work_dir / FINISHED_FILE).unlink(missing_ok=True)
    config = config.copy()
    config.resume = resume and (work_dir / 'last_checkpoint').is_file()
    if source_checkpoint is not None:
        config.default_hooks.source_weights = dict(
            type='SourceWeightsHook', checkpoint=str(source_checkpoint)
        )
    start = time.perf_counter()
    runner = Runner.from_cfg(config)
    if source_checkpoint is not None or config.resume:
        skip_pretrained(runner.model)
    runner.train()
    checkpoint = Path((work_dir / 'last_checkpoint').read_text().strip())
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
    """
    marker = work_dir / FINISHED_FILE
    if not marker.is_file():
        return None
    content = json.loads(marker.read_text())
    checkpoint = work_dir / content['checkpoint']
    if content['config'] != digest:
        raise ConfigError(
            f'{marker}: this run was made with another config or seed; choose another --work-dir, remove the folder, '
            'or name its weights with --source-checkpoint to use them all the same'
        )
    return checkpoint if checkpoint.is_file() else None


def _prepare(config_path: str | Path, options: RunOptions) -> Config:
    """The config as this run executes it."""
    config = load_config(config_path, options.config_options)
    config.work_dir = str(options.work_dir or Path('work_dirs') / Path(config_path).stem)
    config.launcher = options.launcher
    if options.seed is not None:
        config.setdefault('randomness', {})['seed'] = options.seed
    fit_to_machine(config, options.amp)
    if config.model.type == 'SourceReID' and config.get('train_cfg') is not None:
        _count_identities(config)
    Path(config.work_dir).mkdir(parents=True, exist_ok=True)
    return config


def _count_identities(config: Config) -> None:
    """Fill in the number of classes from the training data, where the config leaves it open."""
    if config.model.get('num_classes') is None:
        config.model.num_classes = DATASETS.build(config.train_dataloader.dataset).num_classes


def _source_checkpoint(config: Config, options: RunOptions) -> Path | None:
    """Where the source weights are: named, finished before, or trained now."""
    named = options.source_checkpoint or config.get('source', {}).get('checkpoint')
    if named is not None:
        load_checkpoint(named)  # an unusable file is refused before anything long starts
        return Path(named)
    if config.get('source') is None:
        return None
    source_path = Path(config.source.config)
    source_options = replace(
        options, work_dir=Path(config.work_dir).parent / source_path.stem, resume=True, config_options={}
    )
    source_config = _prepare(source_path, source_options)
    source_dir = Path(source_config.work_dir)
    finished = finished_checkpoint(source_dir, config_hash(source_config))
    if finished is None:
        print_log(f'source stage: {source_path.name} in {source_dir} comes first', logger='current')
    checkpoint = train_stage(source_config, resume=True)
    if not checkpoint.is_file():
        raise CheckpointError(
            f'{checkpoint}: the source stage left no checkpoint here; remove {source_dir} and rerun'
        )
    return checkpoint
