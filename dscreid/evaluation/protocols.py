"""Evaluation protocols: which tracklets of a test split are queries and which form the gallery."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from dscreid.errors import ConfigError, DatasetError
from dscreid.registry import PROTOCOLS
from dscreid.structures import Modality
from dscreid.utils.build_errors import closest

CROSS_MODAL = ('rgb2ir', 'ir2rgb')
# Batch size of VLD's ConsistentModalitySampler; the published figures lack its incomplete last visible batch.
_PUBLISHED_BATCH = 64


class Direction(NamedTuple):
    """One retrieval task."""

    query: np.ndarray  #: int64 (Nq,), rows of the test split that are queries
    gallery: np.ndarray  #: int64 (Ng,), rows of the test split that are searched
    #: whether to leave out gallery tracklets with the same person and camera as the query
    drop_same_camera: bool
    #: pairs of cameras: queries of the first one leave out all gallery tracklets of the second one
    same_place: tuple[tuple[int, int], ...] = ()
    count_persons: bool = False  #: whether the CMC curve counts persons, of each only the best-ranked tracklet
    #: int64 each, the rows of ``gallery`` that are searched in each trial; empty for one trial with all of them
    draws: tuple[np.ndarray, ...] = ()

    def trials(self) -> list['Direction']:
        """Return the task of each trial; results are averaged over them."""
        return [self._replace(gallery=rows, draws=()) for rows in self.draws] or [self]


class EvaluationProtocol(ABC):
    """Base class of protocols. Register a subclass in ``PROTOCOLS`` and name it in ``ReIDMetric(protocol=...)``."""

    one_query_modality: bool = False  #: whether all listed queries must have the same modality

    @abstractmethod
    def directions(self, visible: np.ndarray, queries: np.ndarray) -> dict[str, Direction]:
        """Split a test set into retrieval tasks by name; tracklets in no direction are not evaluated.

        Args:
            visible: bool (N,), whether each test tracklet is visible, in the order of the dataset.
            queries: bool (N,), whether the query list names the tracklet.
        """

    def use_file(self, path: str) -> None:
        """Use the file that the name ``PROTOCOL:FILE`` adds; raises ConfigError if the protocol takes none."""
        raise ConfigError(f'{type(self).__name__} takes no file, got {path!r}')

    def draw(self, direction: Direction, pids: np.ndarray, cameras: np.ndarray) -> Direction:
        """Choose what is searched by persons and cameras, int64 (N,) each; by default, the whole gallery once."""
        return direction


def find_protocol(name: str) -> EvaluationProtocol:
    """Build a registered protocol, or raise ConfigError if it does not exist.

    ``PROTOCOL:FILE`` also gives it a file, such as ``sysu_mm01_all_single:data/sysu_mm01/exp/rand_perm_cam.mat``.
    """
    base, separator, file = str(name).partition(':')
    found = PROTOCOLS.get(base) if isinstance(name, str) else None
    if found is None:
        known = list(PROTOCOLS.module_dict)
        hint = closest(str(name), known)
        raise ConfigError(f'unknown evaluation protocol {name!r}{hint} (known are {", ".join(known)})')
    protocol: EvaluationProtocol = found()
    if separator:
        protocol.use_file(file)
    return protocol


def protocol_directions(
    name: str,
    modalities: Sequence[str | Modality],
    is_query: Sequence[bool] | np.ndarray,
    wheres: Sequence[str] | None = None,
    pids: np.ndarray | None = None,
    cameras: np.ndarray | None = None,
) -> dict[str, Direction]:
    """Split a test set of N tracklets into the retrieval tasks of a protocol, such as ``rgb2ir`` for visible queries.

    ``modalities``, ``'rgb'`` or ``'ir'``, ``is_query``, whether the query list names the tracklet, ``wheres``, its
    ``file:line`` for messages, ``pids``, its person id or a negative number, and ``cameras`` are (N,) in the order of
    the dataset. By default, all persons are unknown and all cameras are 0. Raises ConfigError for an unknown protocol
    and DatasetError if a direction has no queries or gallery.
    """
    protocol = find_protocol(name)
    visible = np.array([Modality(modality) is Modality.RGB for modality in modalities], dtype=bool)
    queries = np.asarray(is_query, dtype=bool)
    if protocol.one_query_modality:
        _check_one_modality(name, visible, queries, wheres)
    directions = protocol.directions(visible, queries)
    for key, direction in directions.items():
        for role, rows in (('query', direction.query), ('gallery', direction.gallery)):
            if len(rows) == 0:
                raise DatasetError(
                    f'protocol {name} finds no {role} tracklet for {key} among {len(visible)} test tracklets '
                    f'({visible.sum()} visible, {queries.sum()} marked as queries); '
                    "check the test split's query list, or choose another protocol"
                )
    facts = (
        np.full(len(visible), -1) if pids is None else np.asarray(pids),
        np.zeros(len(visible), dtype=np.int64) if cameras is None else np.asarray(cameras),
    )
    return {key: protocol.draw(direction, *facts) for key, direction in directions.items()}


def averaged_directions(names: Iterable[str]) -> list[str]:
    """Choose the directions whose mean is reported: the cross-modal ones, or all if none is cross-modal."""
    names = list(names)
    return [name for name in CROSS_MODAL if name in names] or names


def _check_one_modality(name: str, visible: np.ndarray, queries: np.ndarray, wheres: Sequence[str] | None) -> None:
    kinds = (('visible', np.flatnonzero(queries & visible)), ('infrared', np.flatnonzero(queries & ~visible)))
    kind, fewer = min(kinds, key=lambda item: len(item[1]))
    if len(fewer):
        counts = ' and '.join(f'{len(rows)} {kind}' for kind, rows in kinds)
        shown = [f'tracklet {row}' if wheres is None else wheres[row] for row in fewer[:5].tolist()]
        more = f' and {len(fewer) - 5} more' if len(fewer) > 5 else ''
        raise DatasetError(
            f'protocol {name} ranks queries of one modality, but the query list names {counts} tracklets; remove the '
            f'{kind} ones ({", ".join(shown)}{more}), or choose a protocol for both, such as bupt_campus'
        )


@PROTOCOLS.register_module(name='hitsz_vcm')
class HITSZVCM(EvaluationProtocol):
    """The listed queries, infrared as published, are searched among the tracklets of the other modality.

    The second direction swaps queries and gallery. Tracklets with the same person and camera are left out. Unlisted
    tracklets of the queries' modality are in neither direction; the reference code would rank them.
    """

    one_query_modality = True

    def directions(self, visible: np.ndarray, queries: np.ndarray) -> dict[str, Direction]:
        """See the base class."""
        listed_visible = visible[queries].any()
        listed, others = np.flatnonzero(queries), np.flatnonzero(~queries & (visible != listed_visible))
        rgb, ir = (listed, others) if listed_visible else (others, listed)
        return {'rgb2ir': Direction(rgb, ir, True), 'ir2rgb': Direction(ir, rgb, True)}


@PROTOCOLS.register_module(name='bupt_campus')
class BUPTCampus(EvaluationProtocol):
    """All four pairs of modalities, between the query and the gallery list. No camera is left out."""

    def directions(self, visible: np.ndarray, queries: np.ndarray) -> dict[str, Direction]:
        """See the base class."""
        of = {'rgb': visible, 'ir': ~visible}
        query, gallery = ({name: np.flatnonzero(role & of[name]) for name in of} for role in (queries, ~queries))
        pairs = (('rgb', 'ir'), ('ir', 'rgb'), ('rgb', 'rgb'), ('ir', 'ir'))  # the cross-modal ones first
        return {f'{a}2{b}': Direction(query[a], gallery[b], False) for a, b in pairs}


@PROTOCOLS.register_module(name='bupt_campus_as_published')
class PublishedBUPTCampus(BUPTCampus):
    """``bupt_campus`` without the visible tracklets that VLD's test sampler loses.

    These are the last ``n mod 64`` of the n visible queries, or all of them if n is a multiple of 64 (because ``[-0:]``
    is everything), and likewise for the gallery.
    """

    def directions(self, visible: np.ndarray, queries: np.ndarray) -> dict[str, Direction]:
        """See the base class."""
        kept = np.ones(len(visible), dtype=bool)
        for role in (queries, ~queries):
            rows = np.flatnonzero(role & visible)
            kept[rows[-(len(rows) % _PUBLISHED_BATCH) :]] = False
        return {
            key: one._replace(query=one.query[kept[one.query]], gallery=one.gallery[kept[one.gallery]])
            for key, one in super().directions(visible, queries).items()
        }


@PROTOCOLS.register_module(name='cross_modal')
class CrossModal(EvaluationProtocol):
    """Each tracklet is searched among all tracklets of the other modality, of any camera. Ignores the query list."""

    def directions(self, visible: np.ndarray, queries: np.ndarray) -> dict[str, Direction]:
        """See the base class."""
        rgb, ir = np.flatnonzero(visible), np.flatnonzero(~visible)
        return {'rgb2ir': Direction(rgb, ir, False), 'ir2rgb': Direction(ir, rgb, False)}


@PROTOCOLS.register_module(name='all_to_all')
class AllToAll(EvaluationProtocol):
    """Each tracklet is searched among all others, of any camera and modality. Ignores the query list."""

    def directions(self, visible: np.ndarray, queries: np.ndarray) -> dict[str, Direction]:
        """See the base class."""
        rows = np.arange(len(visible))
        return {'all': Direction(rows, rows, False)}


@PROTOCOLS.register_module(name='other_cameras')
class OtherCameras(EvaluationProtocol):
    """Each tracklet is searched among all others, without those of its person and camera. Ignores the query list."""

    def directions(self, visible: np.ndarray, queries: np.ndarray) -> dict[str, Direction]:
        """See the base class."""
        rows = np.arange(len(visible))
        return {'all': Direction(rows, rows, True)}
