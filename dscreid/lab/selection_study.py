"""Study how well label-free criteria choose a checkpoint. Uses finished runs and reads test labels."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from dscreid.apis.config import load_config
from dscreid.apis.run_folder import files_of_run
from dscreid.apis.test import evaluate
from dscreid.engine.selection_record import RECORD_FILE, KeptCheckpoint, is_chosen, read_record
from dscreid.errors import CheckpointError, ConfigError, DatasetError
from dscreid.pseudo_labels.criteria import LABEL_FREE_CRITERIA
from dscreid.visualization import read_scalars
from dscreid.visualization.sources import read_evaluation

#: Evaluations of checkpoints that were not validated during training, in the run's folder.
SCORES_FOLDER = 'selection_study'


@dataclass(frozen=True)
class JudgedRun:
    """A run's criteria and test metric in [0, 1] by number of trained epochs."""

    name: str
    criteria: Mapping[int, Mapping[str, float]]
    scores: Mapping[int, float]


@dataclass(frozen=True)
class Pick:
    """Result of one selection method in one run."""

    epoch: float  # the chosen epoch; NaN if there is none or for a mean over epochs
    score: float  # its test metric; NaN if no epoch was chosen
    gap: float  # score of the best epoch minus this score
    gain: float  # this score minus the score of the last epoch
    # Spearman's rank correlation of criterion and test metric over the epochs; NaN if undefined
    correlation: float = math.nan


def read_run(work_dir: str | Path, metric: str = 'mean/mAP') -> JudgedRun:
    """Read a run's criteria and test metrics. Checkpoints without metrics are evaluated, only once.

    Args:
        work_dir: Folder of a run with ``criteria.json`` that validated each epoch (``train_cfg.val_interval=1``) or
            kept each checkpoint (``default_hooks.checkpoint.max_keep_ckpts=-1``).
        metric: Test metric.

    Raises:
        DscreidError: If the run has no criteria, or an epoch has neither metrics nor a checkpoint.
    """
    work_dir = Path(work_dir)
    record = read_record(work_dir)
    if record is None:
        raise CheckpointError(
            f'{work_dir / RECORD_FILE} is missing; train with SelectionHook and a criterion, for example '
            '--cfg-options default_hooks.selection.criterion=silhouette'
        )
    epochs = {epoch: values for epoch, values in record.epochs.items() if epoch > 0}
    scores = _validated(work_dir, metric)
    scores |= _evaluated(work_dir, metric, sorted(set(epochs) - set(scores)))
    return JudgedRun(work_dir.name, epochs, {epoch: scores[epoch] for epoch in epochs})


def picks_of(run: JudgedRun, criteria: Sequence[str] = LABEL_FREE_CRITERIA) -> dict[str, Pick]:
    """Return the results of the ``last`` epoch, each criterion, ``mean of the epochs`` and ``best`` (by the labels)."""
    if not run.scores:
        raise ConfigError(f'{run.name}: no trained epoch was judged; train at least one with a criterion')
    best, last = max(run.scores.values()), run.scores[max(run.scores)]

    def pick(epoch: float, score: float, correlation: float = math.nan) -> Pick:
        return Pick(epoch, score, best - score, score - last, correlation)

    picks = {'last': pick(max(run.scores), last)}
    for name in criteria:
        values = {epoch: part[name] for epoch, part in run.criteria.items() if name in part}
        epoch = chosen_epoch(values)
        score = math.nan if epoch is None else run.scores[epoch]
        picks[name] = pick(math.nan if epoch is None else epoch, score, _correlation(values, run.scores))
    picks['mean of the epochs'] = pick(math.nan, float(np.mean(list(run.scores.values()))))
    picks['best'] = pick(min(epoch for epoch, score in run.scores.items() if score == best), best)
    return picks


def chosen_epoch(values: Mapping[int, float]) -> int | None:
    """Return the epoch that ``SelectionHook`` chooses from these values. None if there are none."""
    kept = None
    for epoch, value in sorted(values.items()):
        if is_chosen(epoch, value, kept, 'greater'):
            kept = KeptCheckpoint('', 'greater', epoch, value, '')
    return None if kept is None else kept.epoch


def study_markdown(runs: Sequence[JudgedRun], metric: str = 'mean/mAP') -> str:
    """Format one Markdown table per run, and for several runs also one with the means of this metric."""
    studied = [picks_of(run) for run in runs]
    titles = [f'**{run.name}**, {len(run.scores)} epochs' for run in runs]
    tables = [(title, [picks]) for title, picks in zip(titles, studied, strict=True)]
    if len(runs) > 1:
        tables.append((f'**Mean of {len(runs)} runs** (± standard deviation)', studied))
    head = (
        f'| chosen by | epoch | {metric} | below the best epoch | above the last epoch | rank correlation |\n'
        '|---|---|---|---|---|---|\n'
    )
    parts = []
    for title, several in tables:
        rows = [_row(name, [picks[name] for picks in several]) for name in several[0]]
        parts.append(f'{title}\n\n{head}' + '\n'.join(rows))
    return '\n\n'.join(parts) + '\n'


def _row(name: str, picks: Sequence[Pick]) -> str:
    epochs = ', '.join('–' if math.isnan(pick.epoch) else f'{pick.epoch:.0f}' for pick in picks)
    label = 'best (test labels)' if name == 'best' else name
    columns = (('score', 100, '.1f'), ('gap', 100, '.1f'), ('gain', 100, '+.1f'), ('correlation', 1, '+.2f'))
    cells = [_cell([factor * getattr(pick, key) for pick in picks], form) for key, factor, form in columns]
    return f'| {label} | {epochs} | ' + ' | '.join(cells) + ' |'


def _cell(values: Sequence[float], form: str) -> str:
    """Format the mean of the defined values, with the standard deviation if there are several."""
    values = [value for value in values if not math.isnan(value)]
    if not values:
        return '–'
    text = format(float(np.mean(values)) + 0.0, form)
    return f'{text} ± {np.std(values, ddof=1):{form.lstrip("+")}}' if len(values) > 1 else text


def _correlation(values: Mapping[int, float], scores: Mapping[int, float]) -> float:
    epochs = [epoch for epoch in values if epoch in scores]
    left, right = [values[epoch] for epoch in epochs], [scores[epoch] for epoch in epochs]
    if len(set(left)) < 2 or len(set(right)) < 2:
        return math.nan
    return float(spearmanr(left, right).statistic)


def _validated(work_dir: Path, metric: str) -> dict[int, float]:
    """Read the metrics that training logged, by epoch."""
    paths = sorted(work_dir.glob('*/vis_data/scalars.json'))
    epochs, values = read_scalars(*paths).series.get(metric, ((), ()))
    return {int(epoch): float(value) for epoch, value in zip(epochs, values, strict=True) if math.isfinite(value)}


def _evaluated(work_dir: Path, metric: str, epochs: Sequence[int]) -> dict[int, float]:
    """Read the metrics of checkpoints from ``SCORES_FOLDER``, and evaluate the others."""
    files = {epoch: work_dir / SCORES_FOLDER / f'epoch_{epoch}.json' for epoch in epochs}
    checkpoints = {epoch: work_dir / f'epoch_{epoch}.pth' for epoch in epochs if not files[epoch].is_file()}
    if missing := [epoch for epoch, checkpoint in checkpoints.items() if not checkpoint.is_file()]:
        raise CheckpointError(
            f'{work_dir}: epochs {missing} have neither metrics nor checkpoints; train with --cfg-options '
            'default_hooks.checkpoint.max_keep_ckpts=-1 or train_cfg.val_interval=1'
        )
    for epoch, checkpoint in checkpoints.items():
        evaluate(load_config(_config_of(work_dir)), checkpoint, work_dir / SCORES_FOLDER, out=files[epoch])
    scores = {}
    for epoch, file in files.items():
        metrics, reason = read_evaluation(file)
        if not metrics:
            file.unlink()  # the reason can be removed
            raise DatasetError(f'{work_dir}: there are no test metrics to compare criteria with: {reason}')
        if metric not in metrics:
            raise ConfigError(f"no metric '{metric}'; known are {', '.join(metrics)}")
        scores[epoch] = metrics[metric]
    return scores


def _config_of(work_dir: Path) -> Path:
    paths = sorted(set(work_dir.glob('*.py')) - set(files_of_run(work_dir)))  # those are of evaluations
    if len(paths) != 1:
        raise ConfigError(f'{work_dir}: contains {len(paths)} configs instead of the one that was trained')
    return paths[0]
