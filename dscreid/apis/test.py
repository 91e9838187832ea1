"""Evaluate a checkpoint with an official protocol."""

import copy
import json
import uuid
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mmengine import Config
from mmengine.dist import is_main_process
from mmengine.logging import print_log
from mmengine.runner import Runner

from dscreid.apis.config import config_name, fit_to_machine, require_keys
from dscreid.apis.evaluation import Evaluation, check_evaluations, complete_test_loop
from dscreid.apis.inference import init_model
from dscreid.apis.run_folder import EVALUATION_CONFIG
from dscreid.datasets.tracklet_dataset import why_not_evaluated
from dscreid.distributed import process_group
from dscreid.engine.runner import ReIDRunner
from dscreid.errors import CheckpointError, TrainingError
from dscreid.evaluation import ReIDMetric
from dscreid.evaluation.metric import split_intervals
from dscreid.models.reid import BaseReID
from dscreid.utils.build_errors import config_errors
from dscreid.utils.files import check_outputs, replacing


def evaluate(
    config: Config,
    checkpoint: str | Path,
    work_dir: str | Path,
    *,
    protocol: str | None = None,
    flip: bool = False,
    out: str | Path | None = None,
    dump_features: str | Path | None = None,
    rerank: Mapping[str, Any] | None = None,
    query_expansion: Mapping[str, Any] | None = None,
    per_query: str | Path | None = None,
    confidence: float | None = None,
    launcher: str = 'none',
    note: Mapping[str, Any] | None = None,
) -> Evaluation:
    """Evaluate a checkpoint on a config's test set.

    If nothing can be measured, because the config has no test set or no tracklet in it has a person id, features are
    extracted only if they are to be written. Without a test set, the tracklets that ClusterHook clusters are used.

    Args:
        config: A config with a ``model``; not modified.
        checkpoint: See ``init_model``.
        work_dir: Folder for the log, and for ``evaluation_config.py`` with the settings of this evaluation.
        protocol: Protocol to use instead of the config's.
        flip: Whether to average features with those of the mirrored tracklets.
        out: JSON file for the metrics, or for the reason why nothing is measured. It also stores the parameters of
            ``rerank`` and ``query_expansion``, and confidence intervals under ``confidence``.
        dump_features: ``.safetensors`` file for the features of all tracklets.
        rerank: See ``ReIDMetric``, also for the next three arguments; None uses the config's setting.
        query_expansion: Like ``rerank``.
        per_query: Like ``rerank``; not written if nothing is measured.
        confidence: Like ``rerank``.
        launcher: As in MMEngine's Runner.
        note: Additional entries of ``out``, for example why this checkpoint was chosen.

    Returns:
        Metrics in [0, 1] by name, for example ``rgb2ir/mAP``, and with ``confidence`` their bounds, for example
        ``rgb2ir/mAP_low``; empty, with a ``reason``, if nothing is measured.

    Raises:
        DscreidError: If data, config or checkpoint cannot be used; the message says how to fix it.
        OSError: If an output file cannot be written.
    """
    check_outputs((out, dump_features, per_query), inputs=(checkpoint, config.filename))
    require_keys(config, 'model')
    config = copy.deepcopy(config)
    fit_to_machine(config)
    reason = complete_test_loop(config, protocol)
    options: dict[str, Any] = dict(rerank=rerank, query_expansion=query_expansion, confidence=confidence)
    files = dict(dump=dump_features, per_query=per_query)
    options |= {name: str(path) for name, path in files.items() if path is not None}
    config.test_evaluator.update({name: value for name, value in options.items() if value is not None})
    if flip:
        config.model.flip_test = True
    with process_group(launcher, config.get('env_cfg', {}).get('dist_cfg')):
        model = init_model(config, checkpoint)
        if config.test_dataloader is None:
            result, additions = Evaluation({}, checkpoint, reason), {}
        else:
            runner = _build_runner(config, model, work_dir, launcher)
            result = _test(runner, checkpoint, reason, dump_features)
            additions = _additions(runner, result)
        if out is not None and is_main_process():
            write_json(out, split_intervals(result.record())[0] | additions | dict(note or {}))
            print_log(f'metrics: {out}', logger='current')
    return result


def unique_name(work_dir: str | Path) -> str:
    """Return an experiment name for a folder that is unique, as MMEngine requires for loggers and message hubs."""
    return f'{Path(work_dir).name}_{uuid.uuid4().hex[:8]}'


def write_json(path: str | Path, content: dict) -> None:
    """Write a JSON file atomically: a reader sees either the old or the new content."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + '\n', encoding='utf-8')


def _test(runner: Runner, checkpoint: str | Path, reason: str | None, dump_features: str | Path | None) -> Evaluation:
    """Extract and measure, or only extract if there is a reason to measure nothing."""
    dataset = runner.test_loop.dataloader.dataset
    reason = reason or why_not_evaluated(dataset)
    if reason is not None:
        if dump_features is None:
            return Evaluation({}, checkpoint, reason)
        for metric in runner.test_evaluator.metrics:
            metric.protocol = None
    try:
        metrics = {name: float(value) for name, value in runner.test().items()}
    except TrainingError as error:
        raise CheckpointError(f'{checkpoint}: {error}') from error
    tracklets = f'{len(dataset)} tracklets of split {dataset.split!r}'
    return Evaluation(metrics, checkpoint, reason, dump_features, tracklets)


def _additions(runner: Runner, result: Evaluation) -> dict[str, Any]:
    """Collect other entries of the JSON file: confidence intervals, and the ranking options that were on."""
    additions: dict[str, Any] = {}
    intervals = split_intervals(result)[1]
    for metric in runner.test_evaluator.metrics:
        if result.reason is None and isinstance(metric, ReIDMetric):
            additions |= {name: asdict(option) for name, option in metric.test_time_options().items()}
            if intervals:
                additions['confidence'] = metric.interval_settings() | {'intervals': intervals}
    return additions


def _build_runner(config: Config, model: BaseReID, work_dir: str | Path, launcher: str) -> Runner:
    """Build a runner and check its data and protocol, so that bad input is reported before the first batch."""
    useful = ('runtime_info', 'timer', 'logger', 'evaluation_progress', 'bad_frames')
    hooks = {name: hook for name, hook in config.get('default_hooks', {}).items() if name in useful}
    with config_errors(config_name(config)):
        runner = ReIDRunner(
            model=model,
            work_dir=str(work_dir),
            test_dataloader=config.test_dataloader,
            test_evaluator=config.test_evaluator,
            test_cfg=config.get('test_cfg') or dict(type='TestLoop'),
            default_hooks=hooks | {'checkpoint': None, 'param_scheduler': None},
            launcher=launcher,
            env_cfg=config.get('env_cfg', {}),
            log_processor=config.get('log_processor'),
            log_level=config.get('log_level', 'INFO'),
            randomness=config.get('randomness', {}),
            default_scope='dscreid',
            experiment_name=unique_name(work_dir),
            # under its own name, because MMEngine would replace the training config in the folder
            cfg=Config(config.to_dict(), cfg_text='# config of an evaluation', filename=EVALUATION_CONFIG),
        )
        dataset = runner.test_loop.dataloader.dataset
    check_evaluations(config, {'test': dataset}, ('test',))
    return runner
