"""Read the owners' gallery draws for SYSU-MM01, ``exp/rand_perm_cam.mat``."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import scipy.io

from dscreid.errors import DatasetError

#: Name of the variable in the file.
VARIABLE = 'rand_perm_cam'
_RESTORE = "restore it from the dataset archive, or use the protocol's name without a file"


def read_permutations(path: str | Path) -> dict[tuple[int, int], np.ndarray]:
    """Read the permutations of the pictures of each camera and person: int64 (trials, n), from 0, by (camera, person).

    The file is a MATLAB file before version 7.3. Its variable ``rand_perm_cam`` is a cell for each camera, from 1, of a
    cell for each person, from 1, of a matrix (trials, n) with the numbers 1 to n in each row. Persons without pictures
    under a camera, whose matrix is empty, are left out. Nothing in the file is executed.

    Raises DatasetError if the file is missing, cannot be read, or has another content.
    """
    path = Path(path)
    if not path.is_file():
        raise DatasetError(f'{path}: no such permutation file; {_RESTORE}')
    try:
        cells = scipy.io.loadmat(path, variable_names=[VARIABLE])[VARIABLE]
        return dict(_matrices(cells, path))
    except DatasetError:
        raise
    except KeyError:
        reason = f'it has no variable {VARIABLE}'
    except Exception as error:  # a damaged file may raise anything
        reason = ' '.join(str(error).split())[:100] or type(error).__name__
    raise DatasetError(f'{path}: is not a permutation file of SYSU-MM01 ({reason}); {_RESTORE}')


def _matrices(cells: np.ndarray, path: Path) -> Iterator[tuple[tuple[int, int], np.ndarray]]:
    for camera, persons in enumerate(cells.ravel(), start=1):
        # the cells of one camera may be nested in a further cell
        flat = persons.ravel()
        while flat.dtype == object and len(flat) == 1 and flat[0].dtype == object:
            flat = flat[0].ravel()
        for person, matrix in enumerate(flat, start=1):
            matrix = np.asarray(matrix)
            if matrix.size == 0:
                continue
            values = np.atleast_2d(matrix).astype(np.int64) - 1
            if values.ndim != 2 or (np.sort(values, axis=1) != np.arange(values.shape[1])).any():
                raise DatasetError(
                    f'{path}: camera {camera}, person {person}: the rows are not permutations of pictures; {_RESTORE}'
                )
            yield (camera, person), values


def draw_from_permutations(
    permutations: Mapping[tuple[int, int], np.ndarray],
    pids: np.ndarray,
    cameras: np.ndarray,
    shots: int,
    trials: int,
    path: str | Path,
) -> list[np.ndarray]:
    """Draw galleries: the first ``shots`` pictures of each person and camera in the order of a trial's permutation.

    Arguments and result are as for :func:`~dscreid.evaluation.image_protocols.draw_galleries`. Raises DatasetError if
    the numbers of pictures or trials differ from those of the file.
    """
    galleries: list[list[int]] = [[] for _ in range(trials)]
    for pid, camera in sorted(set(zip(pids.tolist(), cameras.tolist(), strict=True))):
        rows = np.flatnonzero((pids == pid) & (cameras == camera))
        permutation = permutations.get((camera, pid), np.empty((0, 0), np.int64))
        if permutation.shape[1] != len(rows) or len(permutation) < trials:
            raise DatasetError(
                f'{path}: person {pid} has {len(rows)} pictures under camera {camera}, but the file orders '
                f'{permutation.shape[1]} in {len(permutation)} trials ({trials} needed); check that the data set is '
                'complete'
            )
        for gallery, order in zip(galleries, permutation, strict=False):
            gallery += sorted(rows[order[:shots]].tolist())
    return [np.array(gallery, dtype=np.int64) for gallery in galleries]
