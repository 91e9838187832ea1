"""Load the parts of a report from files: metrics, features, logs and the dataset for the pictures."""

import math
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from dscreid.errors import CheckpointError, ConfigError, DscreidError
from dscreid.evaluation import FeatureTable, load_features
from dscreid.registry import DATASETS
from dscreid.structures import RANKINGS
from dscreid.utils.build_errors import config_errors
from dscreid.utils.files import existing_file
from dscreid.utils.records import file_beside, is_finite_number, is_number, read_json_object
from dscreid.visualization.results import ReportRun

NO_IDENTITIES = 'its target has no identities'
#: Metrics with values in [0, 1].
_SHARES = re.compile(r'[^/]+/(mAP|mINP|Rank-\d+)')
_SESSIONS = '*/vis_data'


def load_run(
    name: str, metrics: str | Path, features: str | Path | None = None, *, upper_bound: bool = False
) -> ReportRun:
    """Load a row of the results table from the metrics and features that ``dscreid test`` wrote."""
    figures, reason = read_evaluation(metrics)
    table = None if features is None else load_features(features)
    return ReportRun(name, figures, table, upper_bound, reason, read_rankings(metrics))


def read_evaluation(path: str | Path) -> tuple[dict[str, float], str]:
    """Read a metrics file: a JSON object of numbers, at the top level or under ``metrics``.

    Returns metrics in [0, 1] by name, and '', or no metrics and the ``"reason"`` if ``"evaluated"`` is false.
    """
    remedy = 'name a file that dscreid test --out wrote.'
    content = read_json_object(Path(path), 'file of metrics', remedy)
    if content.get('evaluated') is False:
        return {}, ' '.join(str(content.get('reason') or NO_IDENTITIES).split()).rstrip('.')
    content = content['metrics'] if isinstance(content.get('metrics'), dict) else content
    if not any(key.endswith('/mAP') for key in content):
        raise CheckpointError(f'{path} has no metric such as "rgb2ir/mAP"; {remedy}')
    figures = {key: float(value) for key, value in content.items() if is_number(value)}
    for key, value in figures.items():
        if _SHARES.fullmatch(key) and math.isfinite(value) and not 0 <= value <= 1:
            raise CheckpointError(
                f'{path}: {key} is {value}, but metrics are between 0 and 1; divide percentages by 100.'
            )
    return figures, ''


def read_rankings(path: str | Path) -> dict[str, dict[str, float]]:
    """Read the metrics of each ranking (see ``RANKINGS``) from a metrics file; empty if it has none."""
    content = read_json_object(Path(path), 'file of metrics', 'name a file that dscreid test --out wrote.')
    measured = content.get('rankings')
    found = measured if isinstance(measured, dict) else {}
    return {
        name: {key: float(value) for key, value in found[name].items() if is_number(value)}
        for name in RANKINGS
        if isinstance(found.get(name), dict)
    }


def build_test_dataset(config: Config, *, with_pipeline: bool = False) -> Any:
    """Build the dataset of ``config.test_dataloader``; records and frames, but not items, need no pipeline."""
    dataset = (config.get('test_dataloader') or {}).get('dataset')
    if not dataset:
        raise ConfigError(f'{config.filename} has no test_dataloader.dataset; name the config that was tested.')
    with config_errors(f'{config.filename}: test_dataloader.dataset'):
        return DATASETS.build(dataset if with_pipeline else {**dataset, 'pipeline': []})


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


class WorkDir:
    """Files of one run in its work directory. Methods that read them raise a ``DscreidError`` if one is damaged.

    ``scalars`` are the logs of all sessions in order; ``metrics``, ``features`` and ``config``, the one of the last
    session, are None if missing.
    """

    def __init__(self, folder: str | Path, name: str) -> None:
        self.name, self.folder = name, Path(folder)
        if not self.folder.is_dir():
            raise CheckpointError(f'{folder} is not a folder; name the work directory of a run.')
        self.metrics = existing_file(self.folder / 'metrics.json')
        self.features = existing_file(self.folder / 'features.safetensors')
        self.scalars = sorted(self.folder.glob(f'{_SESSIONS}/scalars.json'))
        # an evaluation also writes a config but logs no scalars
        configs = [path.with_name('config.py') for path in self.scalars]
        configs = configs or sorted(self.folder.glob(f'{_SESSIONS}/config.py'))
        self.config = existing_file(configs[-1]) if configs else None
        if not (self.scalars or self.metrics or self.features):
            raise CheckpointError(
                f'{folder} has no metrics.json, features.safetensors or scalars.json; name the work directory of a run.'
            )

    @property
    def config_name(self) -> str | None:
        """Name of the config that the run wrote into its folder, such as ``adca_regdb``; None if there is none."""
        found = sorted(path.stem for path in self.folder.glob('*.py') if not path.stem.startswith('evaluation_config'))
        return found[0] if found else None

    def load_run(self, *, upper_bound: bool = False) -> ReportRun:
        """Load the run as a row of the results table; if there are no metrics, the row gives the reason."""
        if self.metrics is not None:
            return load_run(self.name, self.metrics, self.features, upper_bound=upper_bound)
        features = None if self.features is None else load_features(self.features)
        return ReportRun(self.name, {}, features, upper_bound, f'{self.folder} has no metrics.json')

    def load_features(self) -> FeatureTable:
        """Load the features, which must exist."""
        return load_features(self.folder / 'features.safetensors')

    def load_config(self) -> Config | None:
        """Load the config of the last training session; None if there is none. This executes the config file."""
        try:
            return None if self.config is None else Config.fromfile(self.config)
        except Exception as error:  # a config is a program and may raise anything
            reason = ' '.join(str(error).split()) or type(error).__name__
            raise ConfigError(f'{self.config}: cannot be read as a config: {reason}') from error

    def checkpoint(self) -> Path | None:
        """Return the last checkpoint of a finished training, or None if it is not there."""
        path = file_beside(self.folder / 'finished.json', self._finished().get('checkpoint'))
        return path and existing_file(path)

    def wall_times(self) -> dict[str, float]:
        """Return the wall time in seconds of each stage that the run recorded."""
        seconds = self._finished().get('seconds', -1)
        # only the time of the last session is recorded
        part = 'training' if len(self.scalars) < 2 else 'training, last of its sessions'
        return {f'{self.name}: {part}': float(seconds)} if is_finite_number(seconds) and seconds >= 0 else {}

    def _finished(self) -> dict[str, Any]:
        path = existing_file(self.folder / 'finished.json')
        return read_json_object(path, 'record of a finished training', 'leave this work directory out') if path else {}


def find_work_dirs(entries: Sequence[str]) -> list[WorkDir]:
    """Find work directories given as ``FOLDER`` or ``NAME=FOLDER``; folders with the same name are shown by path."""
    pairs = []
    for entry in entries:
        name, separator, folder = entry.partition('=')
        pairs.append(('', entry) if Path(entry).is_dir() or not separator else (name, folder))
    names = [name or Path(folder).resolve().name for name, folder in pairs]
    count = Counter(names)
    return [
        WorkDir(folder, name if given or count[name] == 1 else folder)
        for name, (given, folder) in zip(names, pairs, strict=True)
    ]
