"""Evaluate a checkpoint by an official protocol."""

import copy
import json
import uuid
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mmengine import Config
from mmengine.dist import is_main_process
from mmengine.runner import Runner

from dscreid.apis.config import config_name, fit_to_machine, require_keys
from dscreid.apis.evaluation_check import check_evaluations
from dscreid.apis.inference import init_model
from dscreid.distributed import process_group
from dscreid.engine.runner import ReIDRunner
from dscreid.evaluation import ReIDMetric
from dscreid.evaluation.metric import split_intervals
from dscreid.models.reid import BaseReID
from dscreid.utils.build_errors import config_errors
from dscreid.utils.files import check_replaceable, replacing


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
) -> dict[str, float]:
    """Run a config's test set through a checkpoint.

    Args:
        config: A config with ``model``, ``test_dataloader`` and ``test_evaluator``; left as it is.
        checkpoint: See ``init_model``.
        work_dir: Where the log goes.
        protocol: Protocol in place of the config's.
        flip: Whether to average features with those of the mirrored tracklets.
        out: JSON file for the metrics, in which confidence intervals stand under ``confidence``, and the
            parameters of ``rerank`` and ``query_expansion`` under these names, where they are on.
        dump_features: ``.safetensors`` file for the features of all test tracklets.
        rerank: See ``ReIDMetric``; None leaves it to the config, as in the following ones.
        query_expansion: See ``ReIDMetric``.
        per_query: See ``ReIDMetric``.
        confidence: See ``ReIDMetric``.
        launcher: As MMEngine's Runner.
        note: What else to write into ``out``, for example why this checkpoint.

    Returns:
        Metrics in [0, 1] by name, for example ``rgb2ir/mAP``, and with ``confidence`` their bounds, for example
        ``rgb2ir/mAP_low``.

    Raises:
        DscreidError: Data, config or checkpoint cannot be used; the message names the remedy.
        OSError: A file that is to be written cannot be.
    """
    for path in (out, dump_features, per_query):
        if path is not None:
            check_replaceable(path)
    require_keys(config, 'model', 'test_dataloader', 'test_evaluator')
    config = copy.deepcopy(config)
    fit_to_machine(config)
    given = dict(
        protocol=protocol,
        dump=None if dump_features is None else str(dump_features),
        rerank=rerank,
        query_expansion=query_expansion,
        per_query=None if per_query is None else str(per_query),
        confidence=confidence,
    )
    config.test_evaluator.update({key: value for key, value in given.items() if value is not None})
    if flip:
        config.model.flip_test = True
    with process_group(launcher, config.get('env_cfg', {}).get('dist_cfg')):
        runner = _build_runner(config, init_model(config, checkpoint), work_dir, launcher)
        metrics = {name: float(value) for name, value in runner.test().items()}
        if out is not None and is_main_process():
            figures, intervals = split_intervals(metrics)
            write_json(out, figures | _additions(runner, intervals) | dict(note or {}))
    return metrics


def unique_name(work_dir: str | Path) -> str:
    """A name for one of several runs in a process: MMEngine keeps loggers and message hubs by name and second."""
    return f'{Path(work_dir).name}_{uuid.uuid4().hex[:8]}'


def write_json(path: str | Path, content: dict) -> None:
    """Write a JSON file as a whole: a reader sees the old content or the new one."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + '\n')


def _additions(runner: Runner, intervals: Mapping[str, tuple[float, float]]) -> dict[str, Any]:
    """What the JSON file says beside the figures: confidence intervals, and which options of the ranking were on."""
    additions: dict[str, Any] = {}
    for metric in runner.test_evaluator.metrics:
        if isinstance(metric, ReIDMetric):
            additions |= {name: asdict(option) for name, option in metric.test_time_options().items()}
            if intervals:
                additions['confidence'] = metric.interval_settings() | {'intervals': intervals}
    return additions


def _build_runner(config: Config, model: BaseReID, work_dir: str | Path, launcher: str) -> Runner:
    """A runner whose data and protocol are checked, so that bad input ends before the first batch."""
    with config_errors(config_name(config)):
        runner = ReIDRunner(
            model=model,
            work_dir=str(work_dir),
            test_dataloader=config.test_dataloader,
            test_evaluator=config.test_evaluator,
            test_cfg=config.get('test_cfg') or dict(type='TestLoop'),
            default_hooks=_evaluation_hooks(config),
            launcher=launcher,
            env_cfg=config.get('env_cfg', {}),
            log_processor=config.get('log_processor'),
            log_level=config.get('log_level', 'INFO'),
            randomness=config.get('randomness', {}),
            default_scope='dscreid',
            experiment_name=unique_name(work_dir),
            # without its file's name, under which it would replace the config of the training
            cfg=Config(config.to_dict()),
        )
        dataset = runner.test_loop.dataloader.dataset
    check_evaluations(config, {'test': dataset}, ('test',))
    return runner


def _evaluation_hooks(config: Config) -> dict:
    """The config's default hooks that have something to do without training."""
    names = ('runtime_info', 'timer', 'logger', 'evaluation_progress', 'bad_frames')
    hooks = {name: hook for name, hook in config.get('default_hooks', {}).items() if name in names}
    return hooks | {'checkpoint': None, 'param_scheduler': None}
