"""Find frames whose names contradict their tracklet's person, modality, camera or tracklet number."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dscreid.datasets.hitsz_vcm import FrameNames
from dscreid.lab.dataset_checks import Finding, warn_if

_SEPARATORS = re.compile(r'[/_.\-]')
#: A position in the paths encodes a field if it matches in at least this fraction of all frames.
_SHARE = 0.8


@dataclass(frozen=True)
class ForeignTracklet:
    """A tracklet that lists foreign frames."""

    where: str  # its line, file:line
    # fields that differ in the names of its frames: person, modality, camera, tracklet
    fields: tuple[str, ...]
    count: int  # number of foreign frames
    length: int  # number of frames
    first: str  # path of the first foreign frame


def foreign_in_hitsz(tracks: np.ndarray, names: FrameNames, path: Path) -> list[ForeignTracklet]:
    """Find the tracklets of HITSZ-VCM with foreign frames.

    The names of the frames are compared with person (if the line has an id), modality and camera of the line in the
    info file ``path``, and with the tracklet number that is most frequent in the tracklet, because the line has none.
    """
    found = []
    for row, (kind, start, end, pid, camera) in enumerate(tracks.tolist()):
        span = slice(start - 1, end)
        numbers, counts = np.unique(names.tracks[span], return_counts=True)
        differs = {
            'person': (names.persons[span] != pid) & (pid >= 0),
            'modality': names.kinds[span] != kind,
            'camera': names.cameras[span] != camera,
            'tracklet': names.tracks[span] != numbers[counts.argmax()],
        }
        found += _entries(f'{path.name}:{row + 1}', differs, names.paths[span])
    return found


def foreign_by_path(
    wheres: Sequence[str], frames: Sequence[Sequence[str]], told: Mapping[str, Sequence[str]]
) -> tuple[list[ForeignTracklet], list[str]]:
    """Find foreign frames by paths that repeat fields of the index, at positions inferred from the data.

    Paths are split at ``/``, ``_``, ``-`` and ``.``. If the piece at a position equals a field's value in at least 80
    percent of all frames, that position encodes the field, and frames that differ there are foreign. Numbers are
    compared without leading zeros.

    Args:
        wheres: ``file:line`` of each of N tracklets.
        frames: Their paths.
        told: Field → its value in the index for each tracklet.

    Returns:
        One entry per tracklet with foreign frames, and the fields that no position encodes, which were not compared.
    """
    told = {field: [_plain(value) for value in values] for field, values in told.items()}
    places = {field: _places(frames, values) for field, values in told.items()}
    found = []
    for row, (where, paths) in enumerate(zip(wheres, frames, strict=True)):
        pieces = [_pieces(path) for path in paths]
        differs = {
            field: np.array([_contradicts(p, places[field], values[row]) for p in pieces], bool)
            for field, values in told.items()
        }
        found += _entries(where, differs, paths)
    return found, [field for field, at in places.items() if not at]


def check_foreign(found: Sequence[ForeignTracklet], subject: str, silent: Sequence[str] = ()) -> Finding:
    """Report a split's foreign frames. ``silent`` are the fields that were not compared."""
    note = f'; not compared because names do not contain it: {", ".join(silent)}' if silent else ''
    frames, fields = sum(f.count for f in found), Counter(field for entry in found for field in entry.fields)
    kinds = ', '.join(f'{count:,} by {field}' for field, count in fields.most_common())
    problem = f'{len(found):,} tracklets list {frames:,} frames whose names disagree with them ({kinds}){note}'
    return warn_if(
        [problem] if found else [],
        'foreign frames',
        subject,
        '' if found else f"every frame's name agrees with its tracklet{note}",
        'check the index; HITSZ-VCM has 39 such training tracklets, which its official protocol keeps (foreign_frames)',
        tuple(
            f'{f.where}: {f.count} of {f.length} frames, other {", ".join(f.fields)}; first {f.first}' for f in found
        ),
    )


def _entries(where: str, differs: Mapping[str, np.ndarray], paths: Sequence[str]) -> list[ForeignTracklet]:
    """Describe a tracklet if any of its frames differs in a field."""
    foreign = np.logical_or.reduce(list(differs.values()))
    if not foreign.any():
        return []
    fields = tuple(field for field, mask in differs.items() if mask.any())
    return [ForeignTracklet(where, fields, int(foreign.sum()), len(paths), paths[int(foreign.argmax())])]


def _plain(text: str) -> str:
    return text.lstrip('0') or '0' if text.isdigit() else text


def _pieces(path: str) -> list[str]:
    return [_plain(piece) for piece in _SEPARATORS.split(path)]


def _places(frames: Sequence[Sequence[str]], values: Sequence[str]) -> list[int]:
    """Find the positions that encode a field. A field with only one value has none: any constant piece would match.

    Paths are split again for each field, because the pieces of millions of paths would take gigabytes of memory.
    """
    if len(set(values)) < 2:
        return []
    hits = Counter(
        place
        for paths, value in zip(frames, values, strict=True)
        for path in paths
        for place, piece in enumerate(_pieces(path))
        if piece == value
    )
    return sorted(place for place, count in hits.items() if count >= _SHARE * sum(map(len, frames)))


def _contradicts(path: Sequence[str], places: Sequence[int], value: str) -> bool:
    return any(place < len(path) and path[place] != value for place in places)
