"""Rows of the results table beside single runs: test-selected epochs, means over runs, and published figures."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import mmengine
import numpy as np

from dscreid.engine.selected_on_test import selected_of
from dscreid.errors import ConfigError
from dscreid.utils.records import read_json_object
from dscreid.utils.shipped import shipped_configs
from dscreid.visualization.results import ReportRun
from dscreid.visualization.sources import WorkDir, protocol_of

#: Metafile of the configs that repeat published experiments.
_METAFILE = 'images/metafile.yml'


def selected_row(run: ReportRun, metrics: Path | None) -> list[ReportRun]:
    """Return the row of a run's test-selected epoch, which its metrics file has under ``test_selected``, if any."""
    if metrics is None:
        return []
    content = read_json_object(metrics, 'file of metrics', 'name a file that dscreid test --out wrote.')
    if content.get('test_selected') is None:
        return []
    selected = selected_of(metrics, content['test_selected'])
    return [ReportRun(f'{run.name}, test-selected (epoch {selected.epoch})', selected.metrics, reference=True)]


def mean_rows(groups: Mapping[str, Sequence[tuple[WorkDir, ReportRun]]]) -> tuple[list[ReportRun], list[str]]:
    """Return a row with means and population standard deviations for the runs of each config, and remarks.

    ``groups`` maps the names of configs to their runs. If all runs have a test-selected epoch, these also have a row.

    Raises ConfigError if a run was not evaluated, or two runs of a config have the same trial and seed.
    """
    rows, remarks = [], []
    for name, members in groups.items():
        runs = [run for _, run in members]
        if missing := [run for run in runs if not run.metrics]:
            raise ConfigError(f'--mean: {missing[0].name} was not evaluated: {missing[0].reason}')
        kinds = [_kind(work_dir) for work_dir, _ in members]
        if repeated := [kind for kind in kinds if kinds.count(kind) > 1]:
            what = repeated[0] or 'no recorded trial and seed'
            raise ConfigError(f'--mean: two runs of {name} have {what}; leave one of them out')
        rows.append(_mean(f'{name}, mean of {len(runs)} runs', runs))
        selected = [row for work_dir, run in members for row in selected_row(run, work_dir.metrics)]
        if len(selected) == len(runs):
            rows.append(_mean(f'{name}, mean of {len(runs)} test-selected epochs', selected))
        remarks.append(f'{name}: mean ± standard deviation of {"; ".join(kinds)}.')
    return rows, remarks


def published_rows(work_dirs: Sequence[WorkDir]) -> list[ReportRun]:
    """Return the published figures of the configs of some runs, once for each data set; empty for other configs."""
    rows: dict[str, ReportRun] = {}
    for work_dir in work_dirs:
        entry = _published().get(work_dir.config_name or '')
        if entry is None or (config := work_dir.load_config()) is None:
            continue
        if figures := entry[1].get((protocol_of(config) or '').partition(':')[0]):
            metrics = {name: value / 100 for name, value in figures['Published'].items()}
            name = f'{entry[0]}, published for {figures["Dataset"]} (test-selected)'
            rows[name] = ReportRun(name, metrics, reference=True)
    return list(rows.values())


@cache
def _published() -> dict[str, tuple[str, dict[str, dict[str, Any]]]]:
    """Map the names of configs to the name of the method, and the metafile's results by protocol, in percent."""
    content = mmengine.load(shipped_configs() / _METAFILE)
    return {
        model['Name']: (model['In Collection'], {part['Protocol']: part for part in model['Results']})
        for model in content['Models']
    }


def _mean(name: str, runs: Sequence[ReportRun]) -> ReportRun:
    keys = set.intersection(*(set(run.metrics) for run in runs))
    values: dict[str, list[float]] = {key: [run.metrics[key] for run in runs] for key in sorted(keys)}
    means = {key: float(np.mean(found)) for key, found in values.items()}
    deviations = {key: float(np.std(found)) for key, found in values.items()}
    return ReportRun(name, means, reference=runs[0].reference, deviations=deviations)


def _kind(work_dir: WorkDir) -> str:
    config: Any = work_dir.load_config() or {}
    trial, seed = config.get('trial'), (config.get('randomness') or {}).get('seed')
    return ', '.join(f'{name} {value}' for name, value in (('trial', trial), ('seed', seed)) if value is not None)
