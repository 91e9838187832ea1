"""Published protocols of the image data sets SYSU-MM01, LLCM and RegDB."""

import random
from collections.abc import Sequence

import numpy as np

from dscreid.errors import DatasetError
from dscreid.evaluation.permutation_file import draw_from_permutations, read_permutations
from dscreid.evaluation.protocols import Direction, EvaluationProtocol
from dscreid.registry import PROTOCOLS
from dscreid.structures import Modality

TRIALS = 10


def draw_galleries(pids: np.ndarray, cameras: np.ndarray, shots: int = 1, trials: int = TRIALS) -> list[np.ndarray]:
    """Draw galleries as the code of ADCA and its family does: some pictures of each person under each camera.

    Trial t seeds Python's generator with t, then draws for each person, ascending, and each of their cameras,
    ascending. With one shot, a draw equals ``random.choice``. With more, it is ``random.sample``: the published code
    draws with NumPy's generator there and never seeds it, so its draws cannot be repeated.

    Args:
        pids: int64 (N,), persons of the pictures. Pictures of one person and camera are in the order of their names.
        cameras: int64 (N,), their cameras.
        shots: Pictures to draw of each person and camera; all of them if there are fewer.
        trials: Number of galleries.

    Returns int64 (n,) for each trial: rows of the pictures, ascending by person, camera and row.
    """
    rows = np.lexsort((cameras, pids))
    keys = np.stack([pids[rows], cameras[rows]])
    groups = np.split(rows, np.flatnonzero((keys[:, 1:] != keys[:, :-1]).any(axis=0)) + 1) if len(rows) else []
    galleries = []
    for trial in range(trials):
        generator = random.Random(trial)
        drawn = [sorted(generator.sample(group.tolist(), min(shots, len(group)))) for group in groups]
        galleries.append(np.array([row for part in drawn for row in part], dtype=np.int64))
    return galleries


class DrawnGallery(EvaluationProtocol):
    """All pictures of one modality are searched in drawn pictures of the other one, in ten trials.

    The CMC curve counts persons: of each, only the best-ranked picture. mAP and mINP use all pictures. Within a person
    and camera, pictures are drawn in the order of the dataset. Ignores the query list.
    """

    queries: tuple[Modality, ...] = (Modality.IR,)
    gallery_cameras: tuple[int, ...] | None = None  #: cameras that are searched; None for all
    shots = 1  #: pictures drawn of each person and camera
    drop_same_camera = False
    same_place: tuple[tuple[int, int], ...] = ()

    def directions(self, visible: np.ndarray, queries: np.ndarray) -> dict[str, Direction]:
        """See the base class."""
        return {
            name: one._replace(drop_same_camera=self.drop_same_camera, same_place=self.same_place, count_persons=True)
            for name, one in cross_modal(visible, self.queries).items()
        }

    def __init__(self) -> None:
        self.file: str | None = None
        self.permutations: dict[tuple[int, int], np.ndarray] = {}

    def draw(self, direction: Direction, pids: np.ndarray, cameras: np.ndarray) -> Direction:
        """Draw the gallery of each trial; raises DatasetError if that is impossible."""
        rows = np.concatenate([direction.query, direction.gallery])
        if unknown := int((pids[rows] < 0).sum()):
            raise DatasetError(
                f'the gallery is drawn by person, but {unknown} of {len(rows)} pictures have no person id; use a '
                'labeled split, or choose another protocol'
            )
        searched = direction.gallery
        if self.gallery_cameras is not None:
            searched = searched[np.isin(cameras[searched], self.gallery_cameras)]
        if len(searched) == 0:
            wanted, found = (', '.join(map(str, one)) for one in (self.gallery_cameras or (), np.unique(cameras[rows])))
            raise DatasetError(
                f'the gallery is drawn from cameras {wanted}, but the test set has cameras {found}; choose another '
                'protocol'
            )
        if self.file is None:
            draws = draw_galleries(pids[searched], cameras[searched], self.shots)
        else:
            settings = self.shots, TRIALS, self.file
            draws = draw_from_permutations(self.permutations, pids[searched], cameras[searched], *settings)
        return direction._replace(draws=tuple(searched[rows] for rows in draws))


def cross_modal(visible: np.ndarray, queries: Sequence[Modality]) -> dict[str, Direction]:
    """Search all pictures of each query modality in all pictures of the other one, without any rule."""
    rows = {Modality.RGB: np.flatnonzero(visible), Modality.IR: np.flatnonzero(~visible)}
    return {f'{one.value}2{one.other.value}': Direction(rows[one], rows[one.other], False) for one in queries}


@PROTOCOLS.register_module(name='sysu_mm01_all_single')
class SYSUAllSingle(DrawnGallery):
    """SYSU-MM01, all search: infrared queries; one visible picture of each person under cameras 1, 2, 4 and 5.

    Cameras 2 and 3 stand in the same place: queries of camera 3 leave out all pictures of camera 2. With
    ``sysu_mm01_all_single:FILE``, the owners' file ``rand_perm_cam.mat`` draws the galleries, in this protocol and in
    all of SYSU-MM01.
    """

    gallery_cameras: tuple[int, ...] = (1, 2, 4, 5)
    same_place = ((3, 2),)

    def use_file(self, path: str) -> None:
        """Draw as the owners' ``rand_perm_cam.mat`` says; raises as ``read_permutations``."""
        self.file, self.permutations = path, read_permutations(path)


@PROTOCOLS.register_module(name='sysu_mm01_all_multi')
class SYSUAllMulti(SYSUAllSingle):
    """``sysu_mm01_all_single`` with ten pictures of each person and camera."""

    shots = 10


@PROTOCOLS.register_module(name='sysu_mm01_indoor_single')
class SYSUIndoorSingle(SYSUAllSingle):
    """``sysu_mm01_all_single`` with the indoor cameras 1 and 2."""

    gallery_cameras = (1, 2)


@PROTOCOLS.register_module(name='sysu_mm01_indoor_multi')
class SYSUIndoorMulti(SYSUIndoorSingle):
    """``sysu_mm01_indoor_single`` with ten pictures of each person and camera."""

    shots = 10


@PROTOCOLS.register_module(name='llcm')
class LLCM(DrawnGallery):
    """LLCM in both directions: one picture of each person and camera, without those of the query's both."""

    queries: tuple[Modality, ...] = (Modality.RGB, Modality.IR)
    drop_same_camera = True


@PROTOCOLS.register_module(name='llcm_vis2nir')
class LLCMVisibleQueries(LLCM):
    """``llcm`` with visible queries only."""

    queries = (Modality.RGB,)


@PROTOCOLS.register_module(name='llcm_nir2vis')
class LLCMInfraredQueries(LLCM):
    """``llcm`` with infrared queries only."""

    queries = (Modality.IR,)


@PROTOCOLS.register_module(name='regdb')
class RegDB(EvaluationProtocol):
    """RegDB in both directions: each picture is searched in all of the other modality. Ignores the query list.

    The ten published trials are splits of the data set (``RegDB(trial=...)``), each with a model of its own.
    """

    queries: tuple[Modality, ...] = (Modality.RGB, Modality.IR)

    def directions(self, visible: np.ndarray, queries: np.ndarray) -> dict[str, Direction]:
        """See the base class."""
        return cross_modal(visible, self.queries)


@PROTOCOLS.register_module(name='regdb_visible2thermal')
class RegDBVisibleQueries(RegDB):
    """``regdb`` with visible queries only."""

    queries = (Modality.RGB,)


@PROTOCOLS.register_module(name='regdb_thermal2visible')
class RegDBThermalQueries(RegDB):
    """``regdb`` with thermal queries only."""

    queries = (Modality.IR,)
