"""Official protocols: which tracklets of a test split are queries and which form the gallery."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from dscreid.errors import ConfigError, DatasetError
from dscreid.structures import Modality

CROSS_MODAL = ('rgb2ir', 'ir2rgb')

_SHOWN = 5
# Batch size of VLD's ConsistentModalitySampler; the published figures lack its incomplete last visible batch.
_PUBLISHED_BATCH = 64


class Direction(NamedTuple):
    """One retrieval task.

    Attributes:
        query: int64 (Nq,), rows of the test split that are queries.
        gallery: int64 (Ng,), rows of the test split that are searched.
        drop_same_camera: Whether to leave out gallery tracklets with the same person and camera as the query.
    """

    query: np.ndarray
    gallery: np.ndarray
    drop_same_camera: bool


def protocol_directions(
    name: str,
    modalities: Sequence[str | Modality],
    is_query: Sequence[bool],
    wheres: Sequence[str] | None = None,
) -> dict[str, Direction]:
    """Split a test set into the retrieval tasks of an official protocol.

    A direction is named after the modalities that it ranks: in ``rgb2ir``, all queries are visible and the whole
    gallery is infrared.

    * ``hitsz_vcm``: the listed queries, all of one modality (infrared as published), are searched among the other test
      tracklets; the second direction swaps queries and gallery. Tracklets with the same person and camera are left out.
      Unlisted tracklets of the queries' modality are in neither direction, and a warning counts them: with them, the
      results would mix two kinds of retrieval. The reference code would rank them.
    * ``bupt_campus``: all four pairs of modalities, ``rgb2ir``, ``ir2rgb``, ``rgb2rgb`` and ``ir2ir``, between the
      query and the gallery list. No camera is left out.
    * ``bupt_campus_as_published``: as ``bupt_campus``, but without the visible tracklets that VLD's test sampler
      loses: the last ``n mod 64`` of the n visible queries, or all of them if n is a multiple of 64 (because the slice
      ``[:-0]`` is empty), and likewise for the gallery.

    Args:
        name: Name of the protocol.
        modalities: (N,), ``'rgb'`` or ``'ir'`` for each test tracklet, in the order of the dataset.
        is_query: (N,), whether the official lists name the tracklet as a query.
        wheres: (N,), ``file:line`` of each tracklet in the index, for error messages.

    Returns:
        Directions by name; their rows are ascending.

    Raises:
        ConfigError: If the protocol does not exist.
        DatasetError: If a direction has no queries or an empty gallery, or if the query list of ``hitsz_vcm`` mixes
            modalities.
    """
    check_protocol(name)
    visible = np.array([Modality(modality) is Modality.RGB for modality in modalities], dtype=bool)
    queries = np.asarray(is_query, dtype=bool)
    if visible.shape != queries.shape:
        raise ValueError(f'{len(visible)} modalities but {len(queries)} query flags')
    if name == 'hitsz_vcm':
        _check_one_modality(visible, queries, wheres)
    directions = PROTOCOLS[name](visible, queries)
    for key, direction in directions.items():
        for role, rows in (('query', direction.query), ('gallery', direction.gallery)):
            if len(rows) == 0:
                raise DatasetError(
                    f'protocol {name} finds no {role} tracklet for {key} among {len(visible)} test tracklets '
                    f'({visible.sum()} visible, {queries.sum()} marked as queries); '
                    "check the test split's query list, or choose another protocol"
                )
    return directions


def check_protocol(name: str) -> None:
    """Check that a protocol exists.

    Raises:
        ConfigError: If it does not exist.
    """
    if not isinstance(name, str) or name not in PROTOCOLS:
        raise ConfigError(f'unknown evaluation protocol {name!r}; known are {", ".join(PROTOCOLS)}')


def _check_one_modality(visible: np.ndarray, queries: np.ndarray, wheres: Sequence[str] | None) -> None:
    """Reject query lists with both modalities, because no direction name fits them."""
    listed = {'visible': np.flatnonzero(queries & visible), 'infrared': np.flatnonzero(queries & ~visible)}
    if not all(map(len, listed.values())):
        return
    counts = ' and '.join(f'{len(rows)} {kind} tracklets' for kind, rows in listed.items())
    kind, fewer = min(listed.items(), key=lambda item: len(item[1]))
    raise DatasetError(
        'protocol hitsz_vcm ranks queries of one modality, but the query list (query_IDX.txt of HITSZ-VCM) names '
        f'{counts}; remove the {kind} ones ({_rows_text(fewer, wheres)}), or choose protocol bupt_campus'
    )


def _rows_text(rows: np.ndarray, wheres: Sequence[str] | None) -> str:
    """List the first few rows for a message, by their place in the index if it is known."""
    shown = rows[:_SHOWN].tolist()
    texts = [f'tracklet {row}' for row in shown] if wheres is None else [str(wheres[row]) for row in shown]
    return ', '.join(texts) + (f' and {len(rows) - _SHOWN} more' if len(rows) > _SHOWN else '')


def _hitsz_vcm(visible: np.ndarray, queries: np.ndarray) -> dict[str, Direction]:
    listed_visible = bool(visible[queries].any())
    listed = np.flatnonzero(queries)
    others = np.flatnonzero(~queries & (visible != listed_visible))
    rgb, ir = (listed, others) if listed_visible else (others, listed)
    return {'rgb2ir': Direction(rgb, ir, True), 'ir2rgb': Direction(ir, rgb, True)}


def _bupt_campus(visible: np.ndarray, queries: np.ndarray) -> dict[str, Direction]:
    pairs = (('rgb', 'ir'), ('ir', 'rgb'), ('rgb', 'rgb'), ('ir', 'ir'))  # the cross-modal ones first
    of = {'rgb': visible, 'ir': ~visible}
    return {
        f'{a}2{b}': Direction(np.flatnonzero(queries & of[a]), np.flatnonzero(~queries & of[b]), False)
        for a, b in pairs
    }


def _bupt_campus_as_published(visible: np.ndarray, queries: np.ndarray) -> dict[str, Direction]:
    kept = np.ones(len(visible), dtype=bool)
    for role in (queries, ~queries):
        rows = np.flatnonzero(role & visible)
        remainder = len(rows) % _PUBLISHED_BATCH
        kept[rows[len(rows) - remainder :] if remainder else rows] = False
    directions = _bupt_campus(visible, queries)
    return {
        key: Direction(query[kept[query]], gallery[kept[gallery]], drop)
        for key, (query, gallery, drop) in directions.items()
    }


# Protocols by name; each function maps (visible, queries), both bool (N,), to directions.
PROTOCOLS: dict[str, Callable[[np.ndarray, np.ndarray], dict[str, Direction]]] = {
    'hitsz_vcm': _hitsz_vcm,
    'bupt_campus': _bupt_campus,
    'bupt_campus_as_published': _bupt_campus_as_published,
}
