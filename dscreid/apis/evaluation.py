"""What an evaluation extracts and measures, whether that is possible, and its result."""

import copy
import logging
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from mmengine import Config
from mmengine.logging import print_log

from dscreid.apis.command_line import format_metrics
from dscreid.apis.config_values import walk
from dscreid.datasets import TrackletDataset
from dscreid.datasets.tracklet_dataset import why_not_evaluated
from dscreid.engine.extraction_loader import extraction_loader
from dscreid.errors import DatasetError
from dscreid.evaluation.feasibility import EvaluationPlan, plan_evaluation
from dscreid.registry import DATASETS
from dscreid.utils.build_errors import config_errors


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
    """Fill in, in place, the parts of a config's test loop that are None.

    Without a test set, the loader of ClusterHook is used for the tracklets of an unlabeled target. If there is no such
    hook either, ``test_dataloader`` stays None. A given ``protocol`` replaces the config's.

    Returns:
        Why nothing can be measured, as far as the config shows; None if something can.
    """
    config.test_cfg = config.get('test_cfg') or dict(type='TestLoop')
    has_data = config.get('test_dataloader') is not None
    if not has_data:
        config.test_dataloader = extraction_loader(copy.deepcopy(config))
    if not has_data or config.get('test_evaluator') is None:
        config.test_evaluator = dict(type='ReIDMetric', protocol=None)
    if not has_data:
        return 'the config has no test set (test_dataloader is None)'
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


def check_evaluations(
    config: Config, built: Mapping[str, TrackletDataset] | None = None, loops: Sequence[str] = ('val', 'test')
) -> None:
    """Check that every validation and test protocol of a config can be measured on its dataset, if it has person ids.

    Args:
        config: A stage's config; not modified.
        built: Datasets that are already built, under ``'val'`` and ``'test'``.
        loops: Which of the two loops to check.

    Raises:
        ConfigError: If a dataset or a protocol is misconfigured.
        DatasetError: If a dataset cannot be read, or a protocol cannot be measured on it.
    """
    for dataset, protocol in evaluations_of(config, built, loops):
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


def evaluations_of(
    config: Config, built: Mapping[str, TrackletDataset] | None = None, loops: Sequence[str] = ('val', 'test')
) -> Iterator[tuple[TrackletDataset, str]]:
    """Yield each distinct pair of test dataset and protocol, as in :func:`check_evaluations`; build datasets once."""
    datasets: list[tuple[dict[str, Any], TrackletDataset]] = []
    pairs: list[tuple[TrackletDataset, str]] = []
    for name in loops:
        loader = config.get(f'{name}_dataloader')
        protocols = protocols_of(config.get(f'{name}_evaluator'))
        if not (loader and loader.get('dataset') and protocols):
            continue
        settings = dict(Config(dict(d=loader['dataset'])).to_dict()['d'], pipeline=[])
        dataset = next((dataset for known, dataset in datasets if known == settings), (built or {}).get(name))
        if dataset is None:
            with config_errors(f'{name}_dataloader'):
                dataset = DATASETS.build(dict(settings))
        datasets.append((settings, dataset))
        for protocol in protocols:
            if isinstance(dataset, TrackletDataset) and not any(dataset is a and protocol == b for a, b in pairs):
                pairs.append((dataset, protocol))
                yield dataset, protocol


def protocols_of(evaluator: Any) -> list[str]:
    """List the protocols that the metrics of an evaluator's config measure."""
    parts = [part for _, part in walk(evaluator) if isinstance(part, Mapping)]
    metrics = [part for part in parts if 'ReIDMetric' in str(part.get('type'))]
    found = [metric.get('protocol', 'hitsz_vcm') for metric in metrics]
    return [protocol for protocol in found if protocol is not None]
