"""Study how often the label-free verdict on an adaptation is wrong. Uses finished runs and reads test labels."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dscreid.apis.run_folder import FEATURES_FILE, METRICS_FILE
from dscreid.deployment.adaptation import compare
from dscreid.deployment.verdict import HARMED, HELPED, UNCLEAR
from dscreid.errors import ConfigError
from dscreid.evaluation import load_features
from dscreid.pseudo_labels import ClusterLabeler, Labeler
from dscreid.visualization.sources import read_evaluation

MEASURE = 'mean/mAP'
#: Changes of the mAP below it, in either direction, count as none.
SMALL = 0.01


@dataclass(frozen=True)
class Judged:
    """One adaptation: the verdict without labels, and the change of the mAP, from -1 to 1."""

    name: str
    verdict: str
    gain: float

    @property
    def truth(self) -> str:
        """What the verdict should have been."""
        return UNCLEAR if abs(self.gain) < SMALL else HELPED if self.gain > 0 else HARMED

    @property
    def is_wrong(self) -> bool:
        """Whether the verdict has the wrong sign: helped without a gain, or harmed without a loss."""
        return (self.verdict == HELPED and self.gain <= 0) or (self.verdict == HARMED and self.gain >= 0)


def judge(before: str | Path, after: str | Path, clustering: Labeler | None = None) -> Judged:
    """Judge a run against the run of its source model on the same tracklets, as ``dscreid adapt`` does without times.

    Without times there are no pairs of different people, so that part of the rule is never decisive here.

    Both are work directories with ``metrics.json`` and ``features.safetensors``.

    Raises:
        ConfigError: If a run was not evaluated, or the runs have other tracklets.
    """
    values = []
    for folder in (Path(before), Path(after)):
        metrics, reason = read_evaluation(folder / METRICS_FILE)
        if MEASURE not in metrics:
            raise ConfigError(f'{folder}: has no {MEASURE} ({reason or "not measured"}); name a run that was tested')
        values.append(metrics[MEASURE])
    first, second = (load_features(Path(folder) / FEATURES_FILE) for folder in (before, after))
    clustering = clustering or ClusterLabeler(k1='auto', k2='auto', eps='auto', min_samples='auto')
    try:
        comparison = compare(first, second, clustering, np.zeros((0, 2), np.int64))
    except ValueError as error:
        raise ConfigError(f'{after} and {before}: {error}') from error
    return Judged(str(after), comparison.verdict, values[1] - values[0])


def verdicts_markdown(judged: Sequence[Judged]) -> str:
    """Format the number of adaptations by verdict and truth, the share of wrong verdicts, and each adaptation."""
    if not judged:
        raise ConfigError('there is no adaptation to judge; name runs other than that of the source model')
    counts = Counter((one.verdict, one.truth) for one in judged)
    names = HELPED, UNCLEAR, HARMED
    points = f'{100 * SMALL:g}'
    head = [f'gained {points} mAP or more', f'changed less than {points}', f'lost {points} or more']
    lines = [f'| verdict without labels | {" | ".join(head)} |', '|---|---:|---:|---:|']
    lines += [f'| {name} | {" | ".join(str(counts[name, truth]) for truth in names)} |' for name in names]
    wrong = [one for one in judged if one.is_wrong]
    clear = [one for one in judged if one.verdict != UNCLEAR]
    lines += ['', f'Wrong sign: {len(wrong)} of {len(clear)} clear verdicts, {len(judged)} adaptations.', '']
    lines += ['| adaptation | verdict | change of mAP |', '|---|---|---:|']
    lines += [f'| {one.name} | {one.verdict} | {100 * one.gain:+.1f} |' for one in judged]
    return '\n'.join(lines) + '\n'
