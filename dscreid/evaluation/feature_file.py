"""Feature files: one safetensors file with everything needed for retrieval on a split."""

from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from dscreid.errors import DatasetError
from dscreid.evaluation.protocols import Direction, protocol_directions
from dscreid.evaluation.ranking import Identities
from dscreid.structures import Modality
from dscreid.utils.files import replacing

MODALITY_CODES = {Modality.RGB: 0, Modality.IR: 1}
UNKNOWN = -1  # person id of tracklets whose person is unknown
#: Parts of rankings, see :func:`dscreid.structures.ranking_feature`.
PARTS = ('static', 'dynamic', 'neck_static', 'neck_dynamic')
_MATRICES = ('feature', *PARTS)


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
    neck_static: np.ndarray | None = None  #: float32 (N, D), static features after their neck, or None
    neck_dynamic: np.ndarray | None = None  #: float32 (N, D), dynamic features after their neck, or None
    length: np.ndarray | None = None  #: int64 (N,), number of frames, or None
    #: int64 (N,), ``index`` of the first tracklet with the same frames. If None, all tracklets are different.
    same_as: np.ndarray | None = None

    def __post_init__(self) -> None:
        lengths = {name: len(array) for name, array in self.arrays().items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f'the arrays must have one row per tracklet, got {lengths}')

    def __len__(self) -> int:
        return len(self.index)

    @property
    def modalities(self) -> list[str]:
        """Modality of each tracklet, ``'rgb'`` or ``'ir'``."""
        return np.array([modality.value for modality in MODALITY_CODES])[self.modality].tolist()

    @property
    def tracklet(self) -> np.ndarray:
        """Ids of the tracklets, int64 (N,); two rows have the same id only if they hold the same tracklet."""
        return self.index if self.same_as is None else self.same_as

    def identities(self, direction: Direction) -> Identities:
        """Facts about the queries and the gallery of a retrieval task on this table."""
        query, gallery = direction.query, direction.gallery
        pid, camera, tracklet = self.pid, self.camera, self.tracklet
        own = tracklet[query], tracklet[gallery]
        rules = direction.drop_same_camera, own, direction.same_place
        return Identities(pid[query], camera[query], pid[gallery], camera[gallery], *rules)

    def directions(self, protocol: str, wheres: Sequence[str] | None = None) -> dict[str, Direction]:
        """Split the table into the retrieval tasks of a protocol; see :func:`protocol_directions`."""
        return protocol_directions(protocol, self.modalities, self.is_query, wheres, self.pid, self.camera)

    def arrays(self) -> dict[str, np.ndarray]:
        """Arrays by name, without those that are None."""
        return {name: array for name, array in vars(self).items() if array is not None}


def save_features(path: str | Path, table: FeatureTable) -> None:
    """Write a feature table to a ``.safetensors`` file, atomically; missing folders are created."""
    with replacing(path) as temporary:
        save_file({name: np.ascontiguousarray(array) for name, array in table.arrays().items()}, temporary)


def load_features(path: str | Path) -> FeatureTable:
    """Read a file written by :func:`save_features`.

    Raises DatasetError if the file is missing, damaged or incomplete, or if features are not finite.
    """
    path = Path(path)
    if not path.is_file():
        raise DatasetError(f'feature file {path} is missing; write it with dscreid test --dump-features')
    try:
        content = load_file(path)
    except Exception as error:  # a damaged header or a type that NumPy does not support
        reason = ' '.join(str(error).split())[:100]
        raise DatasetError(f'{path} is not a safetensors file ({reason}); write it again') from error
    known = fields(FeatureTable)
    if missing := [field.name for field in known if field.default is MISSING and field.name not in content]:
        raise DatasetError(f'{path} lacks {", ".join(missing)}; write it with dscreid test --dump-features')
    arrays = {field.name: content[field.name] for field in known if field.name in content}
    try:
        _check_arrays(arrays)
        table = FeatureTable(**arrays)
    except ValueError as error:
        raise DatasetError(f'{path} is damaged: {error}; write it again') from error
    if fault := describe_not_finite(table):
        raise DatasetError(f'{path}: {fault}; check the weights it was made with and write it again')
    return table


def describe_not_finite(table: FeatureTable) -> str | None:
    """Describe which features contain NaN or infinite values; None if all are finite."""
    finite = [np.isfinite(array).all(axis=1) for name, array in table.arrays().items() if name in _MATRICES]
    broken = np.flatnonzero(~np.logical_and.reduce(finite))
    if len(broken) == 0:
        return None
    shown = f'the first is tracklet {table.index[broken[0]]}'
    return f'the features of {len(broken)} of {len(table)} tracklets hold NaN or infinite values, {shown}'


def _check_arrays(arrays: dict[str, np.ndarray]) -> None:
    for name, array in arrays.items():
        kinds = 'f' if name in _MATRICES else 'b' if name == 'is_query' else 'iu'
        if array.ndim != 1 + (name in _MATRICES) or array.dtype.kind not in kinds:
            raise ValueError(f'{name} cannot be an array of {array.dtype} with {array.ndim} dimensions')
    if not np.isin(arrays['modality'], list(MODALITY_CODES.values())).all():
        raise ValueError('modality contains numbers other than 0 and 1')
