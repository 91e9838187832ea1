"""MMEngine metric that gathers features and evaluates them with an official protocol."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from torch import Tensor

from dscreid.distributed import from_main_process, gather_objects
from dscreid.errors import ConfigError, EvaluationError, TrainingError
from dscreid.evaluation.bootstrap import bootstrap_intervals, check_bootstrap
from dscreid.evaluation.feature_file import (
    MODALITY_CODES,
    PARTS,
    UNKNOWN,
    FeatureTable,
    describe_not_finite,
    save_features,
)
from dscreid.evaluation.protocols import Direction, averaged_directions, find_protocol
from dscreid.evaluation.query_table import check_query_file, make_query_table, save_query_table
from dscreid.evaluation.ranking import QueryRanks, check_ranks
from dscreid.evaluation.scores import InnerProduct, QueryExpansion, Reranked, Reranking, Scores, expand_queries
from dscreid.evaluation.trials import average_trials, joined_trials, rank_trials
from dscreid.registry import METRICS
from dscreid.structures import RANKINGS, Modality, ranking_feature


@METRICS.register_module()
@dataclass(eq=False, repr=False)
class ReIDMetric(BaseMetric):
    """CMC, mAP and mINP for every direction of a protocol.

    Metrics are named ``{direction}/{measure}``, for example ``rgb2ir/mAP``, with values in [0, 1]. ``mean/{measure}``
    is the mean of the cross-modal directions (of all, if the protocol has none). The bounds of a confidence interval
    are named ``{direction}/{measure}_low`` and ``_high``. If a protocol draws its gallery in several trials, the
    metrics are means over them, and ``{direction}/{measure}_std`` is the population standard deviation.

    If no tracklet has a person id, the metrics are empty and a warning is logged; ``dump`` is still written. If some
    have none, they count as wrong answers in the gallery and not as queries.

    Example (config)::

        test_evaluator = dict(type='ReIDMetric', protocol='hitsz_vcm')
    """

    # metric names already contain their direction; without any prefix MMEngine warns
    default_prefix = ''

    #: name in ``PROTOCOLS``, such as ``'bupt_campus_as_published'``, or None to skip the evaluation
    protocol: str | None = 'hitsz_vcm'
    ranks: Sequence[int] = (1, 5, 10, 20)  #: ranks of the CMC curve to report
    #: file for the features of every evaluation (see :mod:`dscreid.evaluation.feature_file`)
    dump: str | Path | None = None
    #: arguments of :class:`~dscreid.evaluation.scores.Reranking`, such as ``{}``, or None for none
    rerank: Any = None
    #: arguments of :class:`~dscreid.evaluation.scores.QueryExpansion`; applied before re-ranking
    query_expansion: Any = None
    #: ``.csv`` file for single queries (see :mod:`dscreid.evaluation.query_table`)
    per_query: str | Path | None = None
    #: level of bootstrap confidence intervals over identities, in (0, 1); None for no intervals
    confidence: float | None = None
    bootstrap_repeats: int = 1000  #: number of bootstrap draws
    bootstrap_seed: int = 0  #: seed of the bootstrap draws
    #: whether to also measure each feature of ``RANKINGS``, without re-ranking and query expansion, for ``rankings``
    by_ranking: bool = False
    device: str = 'cpu'  #: device on which rankings are computed
    #: metrics of the last evaluation by name of the ranking; empty without ``by_ranking``, or if the model does not
    #: predict the parts
    rankings: dict[str, dict[str, float]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        super().__init__()
        # check now, not after training
        if self.protocol is not None:
            find_protocol(self.protocol)
        if self.per_query is not None:
            check_query_file(self.per_query)
        if self.confidence is not None:
            check_bootstrap(self.confidence, self.bootstrap_repeats)
        _check_device(self.device)
        self.ranks = check_ranks(self.ranks)
        self.rerank = None if self.rerank is None else Reranking(**self.rerank)
        self.query_expansion = None if self.query_expansion is None else QueryExpansion(**self.query_expansion)
        self.bootstrap = dict(repeats=self.bootstrap_repeats, seed=self.bootstrap_seed)

    def process(self, data_batch: Any, data_samples: Sequence[Mapping]) -> None:
        """Store one record per tracklet, from data samples (or their dictionaries) with the features of ``predict``."""
        halves = PARTS if self.dump is not None or self.by_ranking else ()
        for sample in data_samples:
            sample = sample if isinstance(sample, Mapping) else sample.to_dict()
            self.results.append(_record(sample, halves))

    def evaluate(self, size: int) -> dict[str, float]:
        """Evaluate the records of all processes on the first one, clear them, and return the result on all processes.

        Replaces MMEngine's method, which exchanges pickles through a folder and limits the wait for the ranking. Logs a
        warning if the loader returned fewer than ``size`` tracklets. Raises as ``compute_metrics``.
        """
        records = [record for share in gather_objects(self.results) for record in share]
        self.results.clear()
        seen = len({record['index'] for record in records})
        if seen != size:
            _warn(f'the dataloader gave {seen} of {size} tracklets; the others are missing in the evaluation')
        return from_main_process(lambda: self.compute_metrics(records))

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Evaluate all directions on the records of all processes, in any order.

        Returns values in [0, 1] by name, none if nothing is evaluated.
        """
        table = _table(results)
        if fault := describe_not_finite(table):
            raise TrainingError(f'{fault}; check the weights of the model')
        if self.dump is not None:
            save_features(self.dump, table)
        self.rankings = {}
        if self.protocol is None or not self._has_identities(table):
            return {}
        directions = table.directions(self.protocol)
        for name, option in self.test_time_options().items():
            print_log(f'{name} is on, which the published tables do not use: {option}', logger='current')
        ranks = {name: self._rank(table, name, direction) for name, direction in directions.items()}
        if self.per_query is not None:
            save_query_table(self.per_query, make_query_table(table, directions, ranks))
        for name, direction in directions.items():
            first, *others = direction.trials()
            valid = int((ranks[name][0].matches > 0).sum())
            counts = f'{valid} of {len(first.query)} queries have a true match among {len(first.gallery)} tracklets'
            trials = f', in each of {1 + len(others)} trials' if others else ''
            print_log(f'{self.protocol} {name}: {counts}{trials}', logger='current')
        if self.by_ranking:
            self.rankings = self._measure_rankings(table, directions)
        return self._metrics(ranks) | self._intervals(table, directions, ranks)

    def test_time_options(self) -> dict[str, QueryExpansion | Reranking]:
        """Enabled options that change the ranking, by argument name."""
        options = {'query_expansion': self.query_expansion, 'rerank': self.rerank}
        return {name: option for name, option in options.items() if option is not None}

    def interval_settings(self) -> dict[str, Any]:
        """Settings of the confidence intervals, for logs and records."""
        return {'level': self.confidence, 'resampled': 'identities', **self.bootstrap}

    def _has_identities(self, table: FeatureTable) -> bool:
        unknown = int((table.pid < 0).sum())
        if unknown == len(table):
            _warn('no evaluation: no tracklet has a person id')
        elif unknown:
            effect = 'they count as wrong answers in the gallery and not as queries'
            _warn(f'{unknown} of {len(table)} tracklets have no person id: {effect}')
        return unknown < len(table)

    def _rank(self, table: FeatureTable, name: str, direction: Direction) -> list[QueryRanks]:
        """Rank the queries of each trial."""
        try:
            return rank_trials(table, direction, self._scores, self.device)
        except EvaluationError as error:
            raise EvaluationError(f'{self.protocol} {name}: {error}') from None

    def _scores(self, query: Tensor, gallery: Tensor) -> Scores:
        if self.query_expansion is not None:
            query = expand_queries(query, gallery, self.query_expansion)
        return Reranked(query, gallery, self.rerank) if self.rerank else InnerProduct(query, gallery)

    def _metrics(self, ranks: Mapping[str, Sequence[QueryRanks]]) -> dict[str, float]:
        """Average the trials of each direction, and the directions."""
        found = {name: average_trials(trials, self.ranks) for name, trials in ranks.items()}
        measured = {name: means for name, (means, _) in found.items()}
        averaged = [measured[name] for name in averaged_directions(ranks)]
        measured['mean'] = {key: float(np.mean([one[key] for one in averaged])) for key in averaged[0]}
        metrics = {f'{name}/{key}': value for name, values in measured.items() for key, value in values.items()}
        drawn = {name: spread for name, (_, spread) in found.items() if len(ranks[name]) > 1}
        return metrics | {f'{name}/{key}_std': value for name, spread in drawn.items() for key, value in spread.items()}

    def _measure_rankings(
        self, table: FeatureTable, directions: Mapping[str, Direction]
    ) -> dict[str, dict[str, float]]:
        parts = {name: torch.from_numpy(array) for name, array in table.arrays().items() if name in PARTS}
        measured = {}
        for ranking, (needed, _) in RANKINGS.items():
            if parts.keys() >= set(needed):
                own = replace(table, feature=ranking_feature(ranking, parts).numpy())
                ranks = {name: rank_trials(own, one, device=self.device) for name, one in directions.items()}
                measured[ranking] = self._metrics(ranks)
        return measured

    def _intervals(
        self, table: FeatureTable, directions: Mapping[str, Direction], ranks: Mapping[str, Sequence[QueryRanks]]
    ) -> dict[str, float]:
        if self.confidence is None:
            return {}
        pids = {name: np.tile(table.pid[one.query], len(ranks[name])) for name, one in directions.items()}
        joined = {name: joined_trials(trials) for name, trials in ranks.items()}
        intervals = bootstrap_intervals(joined, pids, self.ranks, self.confidence, **self.bootstrap)
        print_log(f'confidence intervals: {self.interval_settings()}', logger='current')
        lows = {f'{name}_low': low for name, (low, _) in intervals.items()}
        return lows | {f'{name}_high': high for name, (_, high) in intervals.items()}


def _check_device(device: str) -> None:
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # an AssertionError if torch was built without CUDA
        raise ConfigError(f"device {device!r} cannot be used; rank on 'cpu' or 'cuda'") from error


def split_intervals(metrics: Mapping[str, float]) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """Separate metrics from the (lower, upper) bounds of their confidence intervals, by metric name."""
    figures = {name: value for name, value in metrics.items() if not name.endswith(('_low', '_high'))}
    bounded = [name for name in figures if f'{name}_low' in metrics]
    return figures, {name: (metrics[f'{name}_low'], metrics[f'{name}_high']) for name in bounded}


def _warn(message: str) -> None:
    print_log(message, logger='current', level=logging.WARNING)


def _record(sample: Mapping, halves: Sequence[str]) -> dict[str, Any]:
    missing = [key for key in ('feature', 'camera', 'modality', 'is_query', 'index') if key not in sample]
    if missing:
        raise ValueError(f'a data sample lacks {", ".join(missing)}, which PackTracklet and the model must set')
    features = 'feature', *(half for half in halves if half in sample)
    record: dict[str, Any] = {name: _vector(sample[name]) for name in features} | {'pid': UNKNOWN}
    record |= {'modality': MODALITY_CODES[Modality(sample['modality'])], 'is_query': bool(sample['is_query'])}
    facts = ('pid', 'camera', 'index', 'length', 'same_as')
    return record | {key: int(sample[key]) for key in facts if key in sample}


def _vector(feature: Any) -> np.ndarray:
    return torch.as_tensor(feature).detach().cpu().float().numpy().copy()


def _table(records: list[dict]) -> FeatureTable:
    """Convert records to arrays in dataset order; tracklets repeated by padding are kept once."""
    records = sorted({record['index']: record for record in records}.values(), key=lambda r: r['index'])
    if not records:
        raise ValueError('no tracklet was evaluated; check that the test split is not empty')
    return FeatureTable(**{key: np.array([record[key] for record in records]) for key in records[0]})
