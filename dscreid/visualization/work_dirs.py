"""Find the files that a report needs in the work directory of a run."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from dscreid.errors import CheckpointError, ConfigError
from dscreid.evaluation import FeatureTable, load_features
from dscreid.utils.records import is_finite_number, read_json_object
from dscreid.visualization.curves import Scalars, read_scalars
from dscreid.visualization.results import ReportRun
from dscreid.visualization.sources import load_run

_SESSIONS = '*/vis_data'


@dataclass(frozen=True)
class WorkDir:
    """Files of one run, None if missing. Methods that read them raise a ``DscreidError`` if one is damaged.

    ``scalars`` are those of all sessions in order, ``config`` is that of the last session.
    """

    name: str
    folder: Path
    metrics: Path | None
    features: Path | None
    scalars: tuple[Path, ...]
    config: Path | None
    finished: Path | None

    def load_run(self, *, upper_bound: bool = False) -> ReportRun:
        """Load the run as a row of the results table; if there are no metrics, the row gives the reason."""
        if self.metrics is not None:
            return load_run(self.name, self.metrics, self.features, upper_bound=upper_bound)
        features = None if self.features is None else load_features(self.features)
        return ReportRun(self.name, {}, features, upper_bound, f'{self.folder} has no metrics.json')

    def load_features(self) -> FeatureTable:
        """Load the features, which must exist."""
        if self.features is None:
            raise CheckpointError(
                f'{self.folder} has no features.safetensors; write it with dscreid test --dump-features.'
            )
        return load_features(self.features)

    def load_scalars(self, identities: int | None = None) -> Scalars:
        """Load the logged values; see :func:`read_scalars`."""
        return read_scalars(*self.scalars, identities=identities)

    def load_config(self) -> Config | None:
        """Load the config of the last training session; None if there is none. This executes the config file."""
        try:
            return None if self.config is None else Config.fromfile(self.config)
        except Exception as error:  # a config is a program and may raise anything
            reason = ' '.join(str(error).split()) or type(error).__name__
            raise ConfigError(f'{self.config}: cannot be read as a config: {reason}') from error

    def checkpoint(self) -> Path | None:
        """Return the last checkpoint of a finished training, or None if it is not there."""
        name = self._record().get('checkpoint')
        return _file(self.folder / Path(name).name) if isinstance(name, str) and name else None

    def wall_times(self) -> dict[str, float]:
        """Return the wall time in seconds of each stage that the run recorded."""
        seconds = self._record().get('seconds', -1)
        # only the time of the last session is recorded
        part = 'training' if len(self.scalars) < 2 else 'training, last of its sessions'
        return {f'{self.name}: {part}': float(seconds)} if is_finite_number(seconds) and seconds >= 0 else {}

    def _record(self) -> dict[str, Any]:
        """Load ``finished.json``; empty if training has not finished."""
        remedy = 'leave this work directory out'
        return read_json_object(self.finished, 'record of a finished training', remedy) if self.finished else {}


def find_work_dir(folder: str | Path, name: str) -> WorkDir:
    """Find a run's files in a work directory; raise a CheckpointError if it holds nothing that a report can show."""
    folder = Path(folder)
    if not folder.is_dir():
        raise CheckpointError(f'{folder} is not a folder; name the work directory of a run.')
    scalars = tuple(sorted(folder.glob(f'{_SESSIONS}/scalars.json')))
    # an evaluation also writes a config but logs no scalars
    configs = [path.with_name('config.py') for path in scalars] or sorted(folder.glob(f'{_SESSIONS}/config.py'))
    metrics, features = _file(folder / 'metrics.json'), _file(folder / 'features.safetensors')
    if not (scalars or metrics or features):
        raise CheckpointError(
            f'{folder} has no metrics.json, features.safetensors or scalars.json; name the work directory of a run.'
        )
    config = _file(configs[-1]) if configs else None
    return WorkDir(name, folder, metrics, features, scalars, config, _file(folder / 'finished.json'))


def find_work_dirs(entries: Sequence[str]) -> list[WorkDir]:
    """Find work directories given as ``FOLDER`` or ``NAME=FOLDER``; folders with the same name are shown by path."""
    pairs = []
    for entry in entries:
        name, separator, folder = entry.partition('=')
        pairs.append(('', entry) if Path(entry).is_dir() or not separator else (name, folder))
    names = [name or Path(folder).resolve().name for name, folder in pairs]
    count = Counter(names)
    return [
        find_work_dir(folder, name if given or count[name] == 1 else folder)
        for name, (given, folder) in zip(names, pairs, strict=True)
    ]


def _file(path: Path) -> Path | None:
    return path if path.is_file() else None
