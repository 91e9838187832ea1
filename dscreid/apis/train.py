"""Run a whole experiment: source stage, adaptation, evaluation."""

import contextlib
import copy
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from mmengine import Config
from mmengine.dist import get_world_size, is_main_process
from mmengine.logging import print_log

from dscreid.apis import run_folder
from dscreid.apis.build import build_runner
from dscreid.apis.checkpoint_choice import choose_checkpoint
from dscreid.apis.config import (
    config_hash,
    config_name,
    fit_to_machine,
    inherited_options,
    learned_settings,
    load_config,
    options_of_same_data,
    require_keys,
)
from dscreid.apis.config_check import check_run
from dscreid.apis.preflight import check_stage
from dscreid.apis.recomputation import choose_recomputation
from dscreid.apis.test import Evaluation, evaluate, why_no_evaluation
from dscreid.distributed import from_main_process, process_group, wait_for_all
from dscreid.engine import checkpoint_files, run_identity
from dscreid.engine.denormals import denormals_as_zero
from dscreid.errors import CheckpointError, ConfigError
from dscreid.models.reid.base import architecture_of
from dscreid.utils.checkpoint import in_words, load_checkpoint, meta_of, setting_differences
from dscreid.utils.files import only_process_in, remove_partial_files
from dscreid.utils.machine import free_gpu_memory
from dscreid.utils.records import read_json_object, write_json


@dataclass(frozen=True)
class RunOptions:
    """Options for running a config, described by ``dscreid train --help``; ``config_options`` has dotted keys.

    The source stage of a run is stored next to its ``work_dir``, under the name of its own config, so that runs with
    the same source share it. ``inherited_options`` selects the ``config_options`` for source stages.
    """

    work_dir: Path | None = None
    resume: bool = False
    overwrite: bool = False
    amp: bool = False
    seed: int | None = None
    launcher: str = 'none'
    source_checkpoint: Path | None = None
    partial_source: bool = False
    config_options: dict[str, Any] = field(default_factory=dict)


def run_experiment(config_path: str | Path, options: RunOptions) -> Evaluation:
    """Train a config, including its source stage if it names one, and evaluate the last checkpoint.

    With a ``criterion`` in ``default_hooks.selection`` (see ``SelectionHook``), the checkpoint it chooses is evaluated
    instead. A config without ``train_cfg`` (the baseline CD) is evaluated with the weights of its source stage. If
    nothing can be measured, only features are extracted.

    The metrics, or the reason why there are none, are also written to ``metrics.json`` in the work directory, and the
    features of the test set to ``features.safetensors``.

    Raises:
        DscreidError: If config, data or weights cannot be used; the message says how to fix it.
    """
    config = prepare(config_path, options)
    if (named := named_source(config, options)) is not None:
        load_checkpoint(named)  # refuse an unusable file before long work starts
    check_run(config, config_name(config))
    if (reason := why_no_evaluation(config)) is not None:
        print_log(f'there will be no evaluation: {reason}', logger='current', level=logging.WARNING)
    work_dir = Path(config.work_dir)
    with process_group(config.launcher, config.get('env_cfg', {}).get('dist_cfg')), _own_folder(work_dir):
        stages = from_main_process(lambda: check_folder(config, options))
        source = _source_weights(stages)
        if config.get('train_cfg') is not None:
            last = train_stage(config, options.resume, source, options.partial_source, options.overwrite)
            checkpoint, note = from_main_process(lambda: choose_checkpoint(config, last))
        elif source is not None:
            checkpoint = source
            note = from_main_process(lambda: _begin_test(config, options, source))
        else:
            raise ConfigError(f'{config_path}: there is nothing to run; set train_cfg or source')
        metrics, features = work_dir / checkpoint_files.METRICS_FILE, work_dir / checkpoint_files.FEATURES_FILE
        outputs: dict[str, Any] = dict(out=metrics, dump_features=features, note=note)
        return evaluate(config, checkpoint, work_dir, **outputs, launcher=options.launcher)


def check_folder(config: Config, options: RunOptions) -> list[tuple[Config, RunOptions]]:
    """List a run's stages; raise a ConfigError if it would replace another run, a source stage, or its own weights."""
    stages = experiment_stages(config, options)
    work_dir, named = Path(config.work_dir), named_source(config, options)
    if options.overwrite and named is not None:
        run_folder.check_kept(named, work_dir)
    if not options.resume or config.get('train_cfg') is not None:  # otherwise _begin_test checks it
        run_folder.check_unused(work_dir, options.resume, options.overwrite)
    return stages


def _begin_test(config: Config, options: RunOptions, source: Path) -> dict[str, Any]:
    """Prepare the folder for the metrics of a config without training; return the entries that identify the config."""
    work_dir = Path(config.work_dir)
    note = dict(run=dict(config=config_hash(config), source=run_identity.weights_fingerprint(source)))
    path = work_dir / checkpoint_files.METRICS_FILE
    if options.overwrite:
        run_folder.remove_files(run_folder.files_of_run(work_dir))
    elif options.resume and run_folder.results_of(work_dir):
        recorded = read_json_object(path, 'file of metrics', 'run again with --overwrite') if path.is_file() else {}
        if recorded.get('run') != note['run']:
            reason = 'was made with another config, seed or source weights'
            raise ConfigError(f'{path}: {reason}; use --overwrite instead of --resume, or another --work-dir')
    return note


def train_stage(
    config: Config,
    resume: bool = False,
    source_checkpoint: Path | None = None,
    partial_source: bool = False,
    overwrite: bool = False,
) -> Path:
    """Train one stage to its last epoch; return the last checkpoint.

    ``config`` has a ``work_dir`` and is not modified. With ``resume``, a finished stage is only trained if the config
    asks for more epochs.

    Raises:
        DscreidError: If config, data, weights or folder cannot be used; only logs are written then.
    """
    work_dir, resumed = Path(config.work_dir), None
    from_main_process(lambda: run_folder.check_unused(work_dir, resume, overwrite))
    if resume:
        finished = from_main_process(lambda: finished_checkpoint(config, source_checkpoint, may_extend=True))
        if finished is not None:
            print_log(f'{work_dir}: already finished, not trained again', logger='current')
            return finished
        resumed = from_main_process(lambda: checkpoint_files.resumable_checkpoint(work_dir))
        if resumed is None:
            from_main_process(lambda: run_folder.check_unused(work_dir, resume=False, overwrite=False))
    config, start = copy.deepcopy(config), time.perf_counter()
    choose_recomputation(config, free_gpu_memory(), get_world_size())
    replaced = run_folder.files_of_run(work_dir) if overwrite and is_main_process() else []
    runner = build_runner(config, resumed, source_checkpoint, partial_source)
    if is_main_process():  # an interrupted second run must not look finished, nor continue the first one
        run_folder.remove_files(replaced)
        if resumed is None:
            (work_dir / checkpoint_files.POINTER).unlink(missing_ok=True)
        (work_dir / checkpoint_files.FINISHED_FILE).unlink(missing_ok=True)
    with denormals_as_zero():
        runner.train()
    checkpoint = from_main_process(lambda: checkpoint_files.last_checkpoint(work_dir))
    if checkpoint is None:
        raise CheckpointError(f'{work_dir}: the training left no checkpoint; enable default_hooks.checkpoint')
    if is_main_process():
        seconds = round(time.perf_counter() - start, 1)
        content = dict(config=config_hash(config), checkpoint=checkpoint.name, seconds=seconds)
        write_json(work_dir / checkpoint_files.FINISHED_FILE, content)
    wait_for_all()
    return checkpoint


def finished_checkpoint(config: Config, source_checkpoint: Path | None = None, may_extend: bool = False) -> Path | None:
    """Return the last checkpoint of a finished stage, or None if the stage is not finished.

    Raises:
        ConfigError, CheckpointError: If the stage was run with other settings or source weights, or for another number
            of epochs; with ``may_extend``, the stage then counts as unfinished.
    """
    if (checkpoint := checkpoint_files.trained_checkpoint(config.work_dir)) is None:
        return None
    marker = Path(config.work_dir, checkpoint_files.FINISHED_FILE)
    same = (checkpoint_files.finished_record(config.work_dir) or {}).get('config') == config_hash(config)
    if same and source_checkpoint is None:
        return checkpoint
    content, settings = load_checkpoint(checkpoint), learned_settings(config)
    meta = meta_of(content)
    if run_identity.recorded_settings(meta) is None and not same:
        raise ConfigError(f'{marker}: this run was made with another config or seed; {run_identity.ANOTHER_RUN}')
    run_identity.check_same_run(checkpoint, content, settings, source_checkpoint)
    if same or run_identity.EPOCHS not in run_identity.changed_settings(meta, settings):
        return checkpoint
    if may_extend:
        return None
    reason = 'this source stage was made with another train_cfg.max_epochs, and other runs may use it'
    raise ConfigError(f'{marker}: {reason}; {run_identity.ANOTHER_RUN}')


def prepare(config_path: str | Path, options: RunOptions) -> Config:
    """Load a config and apply the options of this run."""
    config = load_config(config_path, options.config_options)
    require_keys(config, 'model')
    if config.get('load_from') is not None:
        raise ConfigError(f'{config_path}: load_from is not used here; use --source-checkpoint instead')
    config.work_dir = str(options.work_dir or Path('work_dirs') / Path(config_path).stem)
    config.launcher = options.launcher
    if options.seed is not None:
        config.setdefault('randomness', {})['seed'] = options.seed
    fit_to_machine(config, options.amp)
    return config


def named_source(config: Config, options: RunOptions) -> Path | None:
    """Return the source weights named on the command line or in the config."""
    named = options.source_checkpoint or (config.get('source') or {}).get('checkpoint')
    return None if named is None else Path(named)


def source_stage(config: Config, options: RunOptions) -> tuple[Config, RunOptions] | None:
    """Return config and options of the stage that provides a run's weights, or None if the run needs none."""
    work_dir, source = Path(config.work_dir), config.get('source') or {}
    # a checkpoint to resume includes what the run took from its source
    resumes = options.resume and config.get('train_cfg') is not None and (work_dir / checkpoint_files.POINTER).is_file()
    if not source or resumes or named_source(config, options) is not None:
        return None
    path = Path(source['config'])
    source_options = replace(
        options,
        work_dir=work_dir.parent / path.stem,
        resume=True,
        overwrite=False,
        partial_source=False,
        config_options=inherited_options(options.config_options),
    )
    source_config = prepare(path, source_options)
    if same_data := options_of_same_data(config, source_config):
        source_options = replace(source_options, config_options={**source_options.config_options, **same_data})
        source_config = prepare(path, source_options)
    if not options.partial_source:
        check_same_encoder(config, source_config)
    finished_checkpoint(source_config)
    return source_config, source_options


def check_same_encoder(config: Config, source_config: Config) -> None:
    """Raise a ConfigError if a source stage would train a different encoder than the config that starts from it has."""
    saved, own = (architecture_of(one.model.backbone) for one in (source_config, config))
    if differences := setting_differences(saved, own):
        raise ConfigError(
            f'{config_name(config)}: its source stage {config_name(source_config)} has another encoder '
            f'({in_words(differences)}); give both configs the same model.backbone, or start from the weights that fit '
            'with --partial-source'
        )


def experiment_stages(config: Config, options: RunOptions) -> list[tuple[Config, RunOptions]]:
    """List the stages of a run, source stages first; raise a ConfigError if two have the same folder."""
    stages: list[tuple[Config, RunOptions]] = []
    stage: tuple[Config, RunOptions] | None = (config, options)
    while stage is not None:
        folder = Path(stage[0].work_dir).resolve()
        if folder in [Path(other.work_dir).resolve() for other, _ in stages]:
            raise ConfigError(
                f'{folder}: belongs to the source stage {config_name(stage[0])}; choose another --work-dir, or another '
                'source.config if the source stages form a cycle'
            )
        stages.insert(0, stage)
        stage = source_stage(*stage)
    return stages


def _source_weights(stages: Sequence[tuple[Config, RunOptions]]) -> Path | None:
    """Return the weights that the last of some stages starts from: named, finished earlier, or trained now."""
    weights = named_source(*stages[0])
    for (config, _), (following, _) in pairwise(stages):
        work_dir = Path(config.work_dir)
        if (finished := from_main_process(partial(finished_checkpoint, config))) is not None:
            weights = finished
            changed = run_identity.changed_settings(meta_of(load_checkpoint(finished)), learned_settings(config))
            if changed:
                message = f'{work_dir}: was finished with another {", ".join(changed)}; it is not trained again'
                print_log(message, logger='current', level=logging.WARNING)
            continue
        print_log(f'source stage: {config_name(config)} in {work_dir} is trained first', logger='current')
        check_stage(following)
        check_run(config, config_name(config))
        with _own_folder(work_dir):
            weights = train_stage(config, resume=True, source_checkpoint=weights)
    return weights


@contextlib.contextmanager
def _own_folder(work_dir: Path) -> Iterator[None]:
    """Lock a run's folder, and remove partial files left there by an interrupted run."""
    if not is_main_process():
        yield  # the first rank locks the folder for all
        return
    with only_process_in(work_dir):
        for path in remove_partial_files(work_dir):
            print_log(f'removed {path}, the partial file of an interrupted run', logger='current')
        yield
