"""Find frames whose names contradict their tracklet's person, modality, camera or tracklet number."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dscreid.lab.dataset_checks import Finding, warn_if

_SEPARATORS = re.compile(r'[/_.\-]')
_NUMBER = re.compile(r'^[A-Z]?0*(\d+)$')
#: A position in the paths encodes a field if it matches in at least this fraction of all frames.
_SHARE = 0.8


@dataclass(frozen=True)
class ForeignTracklet:
    """A tracklet that lists foreign frames."""

    where: str  # its place in the index, file:line
    # fields that differ in the names of its frames: person, modality, camera, tracklet
    fields: tuple[str, ...]
    count: int  # number of foreign frames
    length: int  # number of frames
    first: str  # path of the first foreign frame


def foreign_by_path(
    wheres: Sequence[str], frames: Sequence[Sequence[str]], told: Mapping[str, Sequence[str | None]]
) -> tuple[list[ForeignTracklet], list[str]]:
    """Find foreign frames by paths that repeat fields of the index, at positions inferred from the data.

    Paths are split at ``/``, ``_``, ``-`` and ``.``. If the piece at a position equals a field's value in at least 80
    percent of all frames, that position encodes the field, and frames that differ there are foreign. Numbers are
    compared without leading zeros and a letter before them.

    Args:
        wheres: ``file:line`` of each of N tracklets.
        frames: Their paths.
        told: Field → its value in the index for each tracklet, None if unknown.

    Returns:
        One entry per tracklet with foreign frames, and the fields that no position encodes, which were not compared.
    """
    told = {field: [value and _plain(value) for value in values] for field, values in told.items()}
    places = {field: _places(frames, values) for field, values in told.items()}
    found = []
    for row, (where, paths) in enumerate(zip(wheres, frames, strict=True)):
        wrong = {field: [p for p in paths if _contradicts(p, places[field], told[field][row])] for field in told}
        if foreign := {path for paths_of_field in wrong.values() for path in paths_of_field}:
            fields = tuple(field for field, paths_of_field in wrong.items() if paths_of_field)
            first = next(path for path in paths if path in foreign)
            found.append(ForeignTracklet(where, fields, sum(p in foreign for p in paths), len(paths), first))
    return found, [field for field, at in places.items() if not at]


def check_foreign(found: Sequence[ForeignTracklet], silent: Sequence[str], subject: str) -> Finding:
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


def _plain(text: str) -> str:
    return _NUMBER.sub(r'\1', text)


def _pieces(path: str) -> list[str]:
    return [_plain(piece) for piece in _SEPARATORS.split(path)]


def _places(frames: Sequence[Sequence[str]], values: Sequence[str | None]) -> list[int]:
    """Find the positions that encode a field. A field with only one value has none: any constant piece would match.

    Paths are split again for each field, because the pieces of millions of paths would take gigabytes of memory.
    """
    known = [(paths, value) for paths, value in zip(frames, values, strict=True) if value is not None]
    if len({value for _, value in known}) < 2:
        return []
    hits = Counter(
        place for paths, value in known for p in paths for place, piece in enumerate(_pieces(p)) if piece == value
    )
    return sorted(place for place, count in hits.items() if count >= _SHARE * sum(len(paths) for paths, _ in known))


def _contradicts(path: str, places: Sequence[int], value: str | None) -> bool:
    pieces = _pieces(path) if places and value is not None else []
    return any(place < len(pieces) and pieces[place] != value for place in places)
