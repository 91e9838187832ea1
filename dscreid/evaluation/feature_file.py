"""Features of a split on disk: one safetensors file with everything that retrieval needs."""

from dataclasses import MISSING, dataclass, fields
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from dscreid.errors import DatasetError
from dscreid.structures import Modality
from dscreid.utils.files import replacing

MODALITY_CODES = {Modality.RGB: 0, Modality.IR: 1}
UNKNOWN = -1  # person id of a tracklet without one
_MODALITIES = {code: modality for modality, code in MODALITY_CODES.items()}


@dataclass(frozen=True)
class FeatureTable:
    """Row-aligned features and facts of N tracklets.

    Attributes:
        feature: float32 (N, F), what retrieval compares by inner product.
        pid: int64 (N,), person ids; ``UNKNOWN`` (-1) for tracklets without one.
        camera: int64 (N,).
        modality: int64 (N,), 0 visible, 1 infrared.
        is_query: bool (N,).
        index: int64 (N,), position in the dataset.
        static: float32 (N, D), raw static features, or None.
        dynamic: float32 (N, D), raw dynamic features, or None.
        length: int64 (N,), frames of the tracklet, or None.
        same_as: int64 (N,), ``index`` of the first tracklet with the same frames, or None: each then counts as its own.
    """

    feature: np.ndarray
    pid: np.ndarray
    camera: np.ndarray
    modality: np.ndarray
    is_query: np.ndarray
    index: np.ndarray
    static: np.ndarray | None = None
    dynamic: np.ndarray | None = None
    length: np.ndarray | None = None
    same_as: np.ndarray | None = None

    def __post_init__(self) -> None:
        """Check that all arrays have one row per tracklet."""
        lengths = {name: len(array) for name, array in self._arrays().items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f'the arrays must have one row per tracklet, got {lengths}')

    def __len__(self) -> int:
        """Number of tracklets."""
        return len(self.index)

    @property
    def modalities(self) -> list[str]:
        """``'rgb'`` or ``'ir'`` of each tracklet."""
        return [_MODALITIES[int(code)].value for code in self.modality]

    @property
    def tracklet(self) -> np.ndarray:
        """int64 (N,), equal for two rows only if they hold the same tracklet."""
        return self.index if self.same_as is None else self.same_as

    def _arrays(self) -> dict[str, np.ndarray]:
        pairs = ((field.name, getattr(self, field.name)) for field in fields(self))
        return {name: array for name, array in pairs if array is not None}


def save_features(path: str | Path, table: FeatureTable) -> None:
    """Write a feature table; a file of that name is replaced as a whole, or not at all.

    Args:
        path: Where to write, usually ``*.safetensors``; missing folders are made.
        table: What to write; the keys of the file are the attributes of :class:`FeatureTable`.
    """
    arrays = {name: np.ascontiguousarray(array) for name, array in table._arrays().items()}
    with replacing(path) as temporary:
        save_file(arrays, temporary)


def load_features(path: str | Path) -> FeatureTable:
    """Read what :func:`save_features` wrote.

    Raises:
        DatasetError: If the file is missing, is no safetensors file, lacks an array, its arrays differ in length, or
            features are not finite.
    """
    path = Path(path)
    if not path.is_file():
        raise DatasetError(f'feature file {path} is missing; write it with dscreid test --dump-features')
    try:
        arrays = load_file(path)
    except Exception as error:  # a damaged header, or a type that NumPy lacks
        reason = ' '.join(str(error).split())[:100]
        raise DatasetError(f'{path} is not a safetensors file ({reason}); write it again') from error
    known = [field.name for field in fields(FeatureTable)]
    needed = [field.name for field in fields(FeatureTable) if field.default is MISSING]
    missing = [name for name in needed if name not in arrays]
    if missing:
        raise DatasetError(f'{path} lacks {", ".join(missing)}; write it with dscreid test --dump-features')
    try:
        _check_arrays(arrays)
        table = FeatureTable(**{name: array for name, array in arrays.items() if name in known})
    except ValueError as error:
        raise DatasetError(f'{path} is damaged: {error}; write it again') from error
    if fault := describe_not_finite(table):
        raise DatasetError(f'{path}: {fault}; check the weights it was made with and write it again')
    return table


def describe_not_finite(table: FeatureTable) -> str | None:
    """Describe which features hold NaN or infinite values; None if all are finite."""
    matrices = (table.feature, table.static, table.dynamic)
    finite = [np.isfinite(matrix).all(axis=1) for matrix in matrices if matrix is not None]
    broken = np.flatnonzero(~np.logical_and.reduce(finite))
    if len(broken) == 0:
        return None
    return (
        f'the features of {len(broken)} of {len(table)} tracklets hold NaN or infinite values, first those of tracklet '
        f'{table.index[broken[0]]}'
    )


def _check_arrays(arrays: dict[str, np.ndarray]) -> None:
    """Check kinds and dimensions of a file's arrays.

    Raises:
        ValueError: One is none of :class:`FeatureTable`'s.
    """
    for name in ('feature', 'static', 'dynamic'):
        if name in arrays and (arrays[name].ndim != 2 or arrays[name].dtype.kind != 'f'):
            raise ValueError(f'{name} is no matrix of floats')
    for name, kinds in (
        ('pid', 'iu'),
        ('camera', 'iu'),
        ('modality', 'iu'),
        ('index', 'iu'),
        ('is_query', 'b'),
        ('same_as', 'iu'),
    ):
        if name in arrays and (arrays[name].ndim != 1 or arrays[name].dtype.kind not in kinds):
            raise ValueError(f'{name} is no vector of {"booleans" if kinds == "b" else "integers"}')
    if not np.isin(arrays['modality'], list(_MODALITIES)).all():
        raise ValueError('modality holds other numbers than 0 and 1')
