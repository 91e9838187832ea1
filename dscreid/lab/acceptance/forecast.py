"""Step 10: forecast of the paper's run on HITSZ-VCM from the figures of the steps before."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dscreid.lab.acceptance.plan import Settings
from dscreid.lab.acceptance.ways import TRANSFORMER, fastest_ways

#: Training tracklets, test tracklets, epochs, iterations of an epoch, and evaluations, of the paper on HITSZ-VCM.
_TRAIN, _TEST, _EPOCHS, _ITERATIONS, _EVALUATIONS = 22_000, 10_800, 50, 200, 5


def measure(settings: Settings) -> Iterator[dict[str, Any]]:
    """Yield the forecast, or which figures are missing."""
    found = {name: _results(settings.out / f'{name}.json') for name in ('iteration', 'extraction', 'labels', 'ranking')}
    missing = [name for name, results in found.items() if not results]
    if found['iteration'] and TRANSFORMER not in fastest_ways(found['iteration']):
        missing.append('a way of the iteration')
    if missing:
        yield {'skipped': f'needs the results of {", ".join(missing)}'}
        return
    yield forecast(**found)


def forecast(
    iteration: Mapping[str, Any], extraction: Mapping[str, Any], labels: Mapping[str, Any], ranking: Mapping[str, Any]
) -> dict[str, Any]:
    """Forecast the seconds of each part of the run from the results of the steps.

    The fastest way that was measured counts. Labels are those of the smallest number of tracklets, scaled to the
    size of the training set with the square of the number for the search, and in proportion for the rest.
    """
    fastest = fastest_ways(iteration)[TRANSFORMER]
    rate = extraction.get('extraction_tracklets_per_second') or min(extraction['encoder_tracklets_per_second'].values())
    size, parts = next(iter(labels.items()))
    scale = _TRAIN / int(size.replace(',', ''))
    times = {name: value for name, value in parts.items() if name.endswith(', seconds')}
    search = sum(value for name, value in times.items() if name.startswith(('nearest', 'DSLU')))
    rest = sum(times.values()) - search
    seconds = {
        'training': _EPOCHS * _ITERATIONS * fastest['seconds'],
        'extraction for labels': _EPOCHS * _TRAIN / rate,
        'labels': _EPOCHS * (search * scale**2 + rest * scale),
        'evaluation': _EVALUATIONS * (_TEST / rate + next(iter(ranking.values()))['seconds']),
    }
    return {'way': fastest['way'], 'seconds': seconds, 'minutes': sum(seconds.values()) / 60}


def _results(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding='utf-8'))['results'] if path.is_file() else {}
