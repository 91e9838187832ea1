"""Feature files: one safetensors file with everything needed for retrieval on a split."""

from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from dscreid.errors import DatasetError
from dscreid.evaluation.protocols import Direction
from dscreid.structures import Modality
from dscreid.utils.files import replacing

MODALITY_CODES = {Modality.RGB: 0, Modality.IR: 1}
UNKNOWN = -1  # person id of tracklets whose person is unknown
_MODALITIES = {code: modality for modality, code in MODALITY_CODES.items()}
_VECTORS = {'pid': 'iu', 'camera': 'iu', 'modality': 'iu', 'index': 'iu', 'is_query': 'b', 'same_as': 'iu'}


@dataclass(frozen=True)
class FeatureTable:
    """Features and annotations of N tracklets, one row per tracklet."""

    feature: np.ndarray  #: float32 (N, F), features that retrieval compares by inner product
    pid: np.ndarray  #: int64 (N,), person ids; ``UNKNOWN`` (-1) if the person is unknown
    camera: np.ndarray  #: int64 (N,), camera ids
    modality: np.ndarray  #: int64 (N,), 0 for visible, 1 for infrared
    is_query: np.ndarray  #: bool (N,), whether the tracklet is listed as a query
    index: np.ndarray  #: int64 (N,), position in the dataset
    static: np.ndarray | None = None  #: float32 (N, D), raw static features, or None
    dynamic: np.ndarray | None = None  #: float32 (N, D), raw dynamic features, or None
    length: np.ndarray | None = None  #: int64 (N,), number of frames, or None
    #: int64 (N,), ``index`` of the first tracklet with the same frames. If None, all tracklets are different.
    same_as: np.ndarray | None = None

    def __post_init__(self) -> None:
        lengths = {name: len(array) for name, array in self._arrays().items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f'the arrays must have one row per tracklet, got {lengths}')

    def __len__(self) -> int:
        return len(self.index)

    @property
    def modalities(self) -> list[str]:
        """Modality of each tracklet, ``'rgb'`` or ``'ir'``."""
        return [_MODALITIES[int(code)].value for code in self.modality]

    @property
    def tracklet(self) -> np.ndarray:
        """Ids of the tracklets, int64 (N,); two rows have the same id only if they hold the same tracklet."""
        return self.index if self.same_as is None else self.same_as

    def identities(self, direction: Direction) -> tuple[Any, ...]:
        """Arguments of :func:`~dscreid.evaluation.ranking.rank_queries` after the scores for a task on this table."""
        query, gallery, drop_same_camera = direction
        facts = (fact[rows] for rows in (query, gallery) for fact in (self.pid, self.camera))
        return *facts, drop_same_camera, (self.tracklet[query], self.tracklet[gallery])

    def _arrays(self) -> dict[str, np.ndarray]:
        pairs = ((field.name, getattr(self, field.name)) for field in fields(self))
        return {name: array for name, array in pairs if array is not None}


def save_features(path: str | Path, table: FeatureTable) -> None:
    """Write a feature table to a ``.safetensors`` file, atomically; missing folders are created."""
    arrays = {name: np.ascontiguousarray(array) for name, array in table._arrays().items()}
    with replacing(path) as temporary:
        save_file(arrays, temporary)


def load_features(path: str | Path) -> FeatureTable:
    """Read a file written by :func:`save_features`.

    Raises:
        DatasetError: If the file is missing, damaged or incomplete, or if features are not finite.
    """
    path = Path(path)
    if not path.is_file():
        raise DatasetError(f'feature file {path} is missing; write it with dscreid test --dump-features')
    try:
        arrays = load_file(path)
    except Exception as error:  # a damaged header or a type that NumPy does not support
        reason = ' '.join(str(error).split())[:100]
        raise DatasetError(f'{path} is not a safetensors file ({reason}); write it again') from error
    known = fields(FeatureTable)
    missing = [field.name for field in known if field.default is MISSING and field.name not in arrays]
    if missing:
        raise DatasetError(f'{path} lacks {", ".join(missing)}; write it with dscreid test --dump-features')
    try:
        _check_arrays(arrays)
        table = FeatureTable(**{field.name: arrays[field.name] for field in known if field.name in arrays})
    except ValueError as error:
        raise DatasetError(f'{path} is damaged: {error}; write it again') from error
    if fault := describe_not_finite(table):
        raise DatasetError(f'{path}: {fault}; check the weights it was made with and write it again')
    return table


def describe_not_finite(table: FeatureTable) -> str | None:
    """Describe which features contain NaN or infinite values; None if all are finite."""
    matrices = (table.feature, table.static, table.dynamic)
    finite = [np.isfinite(matrix).all(axis=1) for matrix in matrices if matrix is not None]
    broken = np.flatnonzero(~np.logical_and.reduce(finite))
    if len(broken) == 0:
        return None
    shown = f'the first is tracklet {table.index[broken[0]]}'
    return f'the features of {len(broken)} of {len(table)} tracklets hold NaN or infinite values, {shown}'


def _check_arrays(arrays: dict[str, np.ndarray]) -> None:
    """Raise ValueError if the type or dimension of an array does not fit :class:`FeatureTable`."""
    for name in ('feature', 'static', 'dynamic'):
        if name in arrays and (arrays[name].ndim != 2 or arrays[name].dtype.kind != 'f'):
            raise ValueError(f'{name} is not a matrix of floats')
    for name, kinds in _VECTORS.items():
        if name in arrays and (arrays[name].ndim != 1 or arrays[name].dtype.kind not in kinds):
            raise ValueError(f'{name} is not a vector of {"booleans" if kinds == "b" else "integers"}')
    if not np.isin(arrays['modality'], list(_MODALITIES)).all():
        raise ValueError('modality contains numbers other than 0 and 1')
