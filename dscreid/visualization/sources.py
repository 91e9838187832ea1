"""Load the parts of a report from files: metrics, features and the dataset for the pictures."""

import math
import re
from pathlib import Path
from typing import Any

from mmengine.config import Config

from dscreid.errors import CheckpointError, ConfigError, DscreidError
from dscreid.evaluation import load_features
from dscreid.registry import DATASETS
from dscreid.utils.records import is_number, read_json_object
from dscreid.visualization.results import ReportRun

NO_IDENTITIES = 'its target has no identities'
#: Metrics with values in [0, 1].
_SHARES = re.compile(r'[^/]+/(mAP|mINP|Rank-\d+)')


def load_run(
    name: str, metrics: str | Path, features: str | Path | None = None, *, upper_bound: bool = False
) -> ReportRun:
    """Load a row of the results table from the metrics and features that ``dscreid test`` wrote."""
    figures, reason = read_evaluation(metrics)
    table = None if features is None else load_features(_existing(features))
    return ReportRun(name, figures, table, upper_bound, reason)


def read_evaluation(path: str | Path) -> tuple[dict[str, float], str]:
    """Read a metrics file: a JSON object of numbers, at the top level or under ``metrics``.

    Returns:
        Metrics in [0, 1] by name, and '', or no metrics and the ``"reason"`` if ``"evaluated"`` is false.

    Raises:
        CheckpointError: If the file is missing, is no JSON object, or holds neither a reason nor an mAP in [0, 1].
    """
    path = _existing(path)
    content = read_json_object(path, 'file of metrics', 'name a file that dscreid test --out wrote.')
    if content.get('evaluated') is False:
        return {}, ' '.join(str(content.get('reason') or NO_IDENTITIES).split()).rstrip('.')
    content = content['metrics'] if isinstance(content.get('metrics'), dict) else content
    if not any(str(key).endswith('/mAP') for key in content):
        raise CheckpointError(f'{path} has no metric such as "rgb2ir/mAP"; name a file that dscreid test --out wrote.')
    figures = {key: float(value) for key, value in content.items() if is_number(value)}
    for key, value in figures.items():
        if _SHARES.fullmatch(key) and math.isfinite(value) and not 0 <= value <= 1:
            raise CheckpointError(
                f'{path}: {key} is {value}, but metrics are between 0 and 1; divide percentages by 100.'
            )
    return figures, ''


def build_test_dataset(config: Config, *, with_pipeline: bool = False) -> Any:
    """Build the dataset of ``config.test_dataloader``; records and frames, but not items, do without the pipeline.

    Raises:
        ConfigError: If the config has no test dataset, or if it cannot be built.
        DatasetError: If files of the dataset are missing or malformed.
    """
    loader = config.get('test_dataloader')
    if not loader or not loader.get('dataset'):
        raise ConfigError(f'{config.filename} has no test_dataloader.dataset; name the config that was tested.')
    try:
        return DATASETS.build({**loader['dataset'], **({} if with_pipeline else {'pipeline': []})})
    except (KeyError, TypeError) as error:  # an unknown type or an unknown argument
        reason = error.args[0] if error.args else error
        raise ConfigError(f'the test dataset of {config.filename} cannot be built ({reason}).') from error


def check_features_belong(dataset: Any, run: ReportRun) -> None:
    """Raise a DscreidError if a run's features name a tracklet with another person, camera or modality in a dataset."""
    features, tracklets = run.features, dataset.tracklets
    if features is None:
        return
    columns = (features.index.tolist(), features.pid.tolist(), features.camera.tolist(), features.modalities)
    for index, pid, *others in zip(*columns, strict=True):
        tracklet = tracklets[index] if 0 <= index < len(tracklets) else None
        known = None if tracklet is None else (tracklet.pid, tracklet.camera, tracklet.modality.value)
        if known != (None if pid < 0 else pid, *others):
            raise DscreidError(
                f'the features of "{run.name}" belong to another test set than {dataset.root} '
                f'(tracklet {index}, person {pid}); name the config with which they were extracted.'
            )


def protocol_of(config: Config) -> str | None:
    """Return the evaluation protocol that a config sets in ``test_evaluator``, or None."""
    evaluators = config.get('test_evaluator') or []
    evaluators = [evaluators] if isinstance(evaluators, dict) else evaluators
    return next((evaluator['protocol'] for evaluator in evaluators if 'protocol' in evaluator), None)


def _existing(path: str | Path) -> Path:
    """Return the path of an existing file."""
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f'{path} is missing; name a file that dscreid test wrote.')
    return path
