"""Evaluate a checkpoint with an official protocol, and check before a run that this is possible."""

import copy
import logging
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from mmengine import Config
from mmengine.dist import is_main_process
from mmengine.logging import print_log
from mmengine.runner import Runner

from dscreid.apis.command_line import format_metrics
from dscreid.apis.config import config_name, fit_to_machine, require_keys
from dscreid.apis.inference import init_model
from dscreid.apis.run_folder import EVALUATION_CONFIG
from dscreid.datasets import TrackletDataset
from dscreid.datasets.tracklet_dataset import why_not_evaluated
from dscreid.distributed import process_group
from dscreid.engine.common_settings import walk
from dscreid.engine.extraction import extraction_loader
from dscreid.engine.runner import ReIDRunner
from dscreid.errors import CheckpointError, DatasetError, TrainingError
from dscreid.evaluation import ReIDMetric
from dscreid.evaluation.feasibility import EvaluationPlan, plan_evaluation
from dscreid.evaluation.metric import split_intervals
from dscreid.models.reid import BaseReID
from dscreid.registry import DATASETS
from dscreid.utils.build_errors import config_errors
from dscreid.utils.files import check_outputs
from dscreid.utils.records import write_json


class Evaluation(dict[str, float]):
    """Metrics in [0, 1] by name, such as ``rgb2ir/mAP``; empty, with a ``reason``, if nothing was measured.

    ``features`` is the file with the extracted features, or None, and ``tracklets`` describes what was extracted.
    """

    def __init__(
        self,
        metrics: Mapping[str, float],
        checkpoint: str | Path,
        reason: str | None = None,
        features: str | Path | None = None,
        tracklets: str = '',
    ) -> None:
        super().__init__(metrics)
        self.checkpoint, self.reason = checkpoint, reason
        self.features, self.tracklets = features, tracklets

    def __str__(self) -> str:
        """Format for a terminal: the checkpoint, and the metrics in percent or the reason why there are none."""
        lines = [f'checkpoint: {self.checkpoint}']
        if self.features is not None:
            lines.append(f'features: {self.features} ({self.tracklets})')
        lines.append(format_metrics(self) if self.reason is None else f'no evaluation: {self.reason}')
        return '\n'.join(lines)

    def record(self) -> dict[str, Any]:
        """Return the content of a metrics file: the metrics, or ``evaluated: false`` and the reason."""
        return dict(self) if self.reason is None else {'evaluated': False, 'reason': self.reason}


def disable_incomplete_loops(config: Config) -> None:
    """Turn off, in place, validation and test if one of their three keys is None, which MMEngine's Runner refuses."""
    for loop in ('val', 'test'):
        keys = [f'{loop}_{key}' for key in ('cfg', 'dataloader', 'evaluator')]
        missing = [key for key in keys if config.get(key) is None]
        if loop == 'val' and 0 < len(missing) < len(keys):
            message = f'no validation: the config has no {", ".join(missing)}'
            print_log(message, logger='current', level=logging.WARNING)
        if missing:
            config.update(dict.fromkeys(keys))


def complete_test_loop(config: Config, protocol: str | None = None) -> str | None:
    """Fill in, in place, the parts of a config's test loop that are None; return why nothing can be measured, or None.

    Without a test set, the loader of ClusterHook, if any, is used for the tracklets of an unlabeled target. A given
    ``protocol`` replaces the config's.
    """
    config.test_cfg = config.get('test_cfg') or dict(type='TestLoop')
    if config.get('test_dataloader') is None:
        config.test_dataloader = extraction_loader(copy.deepcopy(config))
        config.test_evaluator = dict(type='ReIDMetric', protocol=None)
        return 'the config has no test set (test_dataloader is None)'
    if config.get('test_evaluator') is None:
        config.test_evaluator = dict(type='ReIDMetric', protocol=None)
    if protocol is not None:
        config.test_evaluator.protocol = protocol
    if config.test_evaluator.get('protocol', '') is None:
        return 'the config has no evaluation protocol (test_evaluator is None, or its protocol)'
    return None


def why_no_evaluation(config: Config) -> str | None:
    """Explain why a run of a config will measure nothing; None if it will measure something."""
    config = copy.deepcopy(config)
    if (reason := complete_test_loop(config)) is not None:
        return reason
    return why_not_evaluated(DATASETS.build({**config.test_dataloader.dataset, 'pipeline': []}))


def check_evaluations(config: Config) -> None:
    """Check that every validation and test protocol of a config can be measured on its dataset, if it has person ids.

    Raises:
        ConfigError: If a dataset or a protocol is misconfigured.
        DatasetError: If a dataset cannot be read, or a protocol cannot be measured on it.
    """
    for dataset, protocol in evaluations_of(config):
        plan(dataset, protocol)


def check_evaluation(dataset: Any, evaluator: Any) -> None:
    """Check that the protocols of an evaluator's config can be measured on a dataset; see ``check_evaluations``."""
    for protocol in protocols_of(evaluator) if isinstance(dataset, TrackletDataset) else ():
        plan(dataset, protocol)


def plan(dataset: TrackletDataset, protocol: str) -> EvaluationPlan | None:
    """Call ``plan_evaluation``; errors name the dataset, and tracklets that are never ranked are logged."""
    try:
        found = plan_evaluation(dataset, protocol)
    except DatasetError as error:
        raise DatasetError(f'{dataset.root}: {error}') from error
    if found is not None and len(found.unranked):
        _warn_once(
            f'{dataset.root}: {len(found.unranked)} of {len(dataset)} test tracklets are ranked in no direction of '
            f'protocol {protocol}; check the query list'
        )
    return found


@cache
def _warn_once(message: str) -> None:
    print_log(message, logger='current', level=logging.WARNING)


def evaluations_of(config: Config) -> Iterator[tuple[TrackletDataset, str]]:
    """Yield each distinct pair of validation or test set and protocol of a config."""
    found = {}
    for name in ('val', 'test'):
        settings = {**((config.get(f'{name}_dataloader') or {}).get('dataset') or {}), 'pipeline': []}
        for protocol in protocols_of(config.get(f'{name}_evaluator')) if 'type' in settings else ():
            found[f'{sorted(settings.items())} {protocol}'] = settings, protocol
    for settings, protocol in found.values():
        with config_errors(f'{config_name(config)}: dataset'):
            dataset = DATASETS.build(settings)
        if isinstance(dataset, TrackletDataset):
            yield dataset, protocol


def protocols_of(evaluator: Any) -> list[str]:
    """List the protocols that the metrics of an evaluator's config measure."""
    parts = [part for _, part in walk(evaluator) if isinstance(part, Mapping)]
    metrics = [part for part in parts if 'ReIDMetric' in str(part.get('type'))]
    found = [metric.get('protocol', 'hitsz_vcm') for metric in metrics]
    return [protocol for protocol in found if protocol is not None]


def evaluate(
    config: Config,
    checkpoint: str | Path,
    work_dir: str | Path,
    *,
    protocol: str | None = None,
    flip: bool = False,
    out: str | Path | None = None,
    dump_features: str | Path | None = None,
    launcher: str = 'none',
    note: Mapping[str, Any] | None = None,
    **metric: Any,
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
            ``rerank`` and ``query_expansion``, confidence intervals under ``confidence``, and, under ``rankings``, the
            metrics of each feature that tracklets could be ranked by (``RANKINGS``).
        dump_features: ``.safetensors`` file for the features of all tracklets.
        launcher: As in MMEngine's Runner.
        note: Additional entries of ``out``, for example why this checkpoint was chosen.
        **metric: ``rerank``, ``query_expansion``, ``per_query`` and ``confidence`` of ``ReIDMetric``; None uses the
            config's setting.

    Returns:
        Metrics in [0, 1] by name, for example ``rgb2ir/mAP``, and with ``confidence`` their bounds, for example
        ``rgb2ir/mAP_low``; empty, with a ``reason``, if nothing is measured.

    Raises:
        DscreidError: If data, config or checkpoint cannot be used; the message says how to fix it.
        OSError: If an output file cannot be written.
    """
    check_outputs((out, dump_features, metric.get('per_query')), inputs=(checkpoint, config.filename))
    require_keys(config, 'model')
    config = copy.deepcopy(config)
    fit_to_machine(config)
    reason = complete_test_loop(config, protocol)
    options = {'by_ranking': True, 'dump': dump_features, **metric}
    paths = {name: str(value) for name, value in options.items() if isinstance(value, Path)}
    config.test_evaluator.update({name: value for name, value in (options | paths).items() if value is not None})
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


def _test(runner: Runner, checkpoint: str | Path, reason: str | None, dump_features: str | Path | None) -> Evaluation:
    dataset = runner.test_loop.dataloader.dataset
    reason = reason or why_not_evaluated(dataset)
    if reason is not None and dump_features is None:
        return Evaluation({}, checkpoint, reason)
    for metric in runner.test_evaluator.metrics if reason is not None else ():
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
            additions['rankings'] = metric.rankings
            if intervals:
                additions['confidence'] = metric.interval_settings() | {'intervals': intervals}
    return additions


def _build_runner(config: Config, model: BaseReID, work_dir: str | Path, launcher: str) -> Runner:
    """Build a runner and check its data and protocol, so that bad input is reported before the first batch."""
    useful = ('runtime_info', 'timer', 'logger', 'evaluation_progress', 'bad_frames', 'neck_statistics')
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
    check_evaluation(dataset, config.test_evaluator)
    return runner
