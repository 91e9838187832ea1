"""Check that evaluations are possible before a long run starts."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from mmengine import Config
from mmengine.logging import print_log

from dscreid.apis.config_values import walk
from dscreid.datasets import TrackletDataset
from dscreid.errors import DatasetError
from dscreid.evaluation.feasibility import EvaluationPlan, plan_evaluation
from dscreid.registry import DATASETS
from dscreid.utils.build_errors import config_errors


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
    """Yield each distinct pair of test dataset and protocol; each dataset is built once.

    Arguments are those of :func:`check_evaluations`.

    Raises:
        DscreidError: If a dataset cannot be built.
    """
    known: list[tuple[dict[str, Any], TrackletDataset, list[str]]] = []
    for name in loops:
        loader = config.get(f'{name}_dataloader')
        if not loader or not loader.get('dataset'):
            continue
        settings = dict(Config(dict(d=loader['dataset'])).to_dict()['d'], pipeline=[])
        for protocol in protocols_of(config.get(f'{name}_evaluator')):
            found = next((entry for entry in known if entry[0] == settings), None)
            if found is None:
                dataset = (built or {}).get(name)
                if not dataset:
                    with config_errors(f'{name}_dataloader'):
                        dataset = DATASETS.build(dict(settings))
                known.append(found := (settings, dataset, []))
            if protocol not in found[2] and isinstance(found[1], TrackletDataset):
                found[2].append(protocol)
                yield found[1], protocol


def protocols_of(evaluator: Any) -> list[str]:
    """List the protocols that the metrics of an evaluator's config measure."""
    parts = [part for _, part in walk(evaluator) if isinstance(part, Mapping)]
    metrics = [part for part in parts if 'ReIDMetric' in str(part.get('type'))]
    found = [metric.get('protocol', 'hitsz_vcm') for metric in metrics]
    return [protocol for protocol in found if protocol is not None]
