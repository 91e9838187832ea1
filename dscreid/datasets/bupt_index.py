"""Parsers for the index files of BUPTCampus."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from dscreid.datasets import index_files
from dscreid.datasets.index_files import check_paths, index_file, read_json
from dscreid.errors import DatasetError
from dscreid.structures import Modality

CAMERAS = ('LS3', 'G25', 'CQ1', 'W4', 'TSG1', 'TSG2')
IMAGE_FOLDER = 'DATA/'
PAIR = 'RGB/IR'


class Line(NamedTuple):
    """One line of ``train.txt``, ``train_auxiliary.txt``, ``query.txt`` or ``gallery.txt``.

    Attributes:
        where: ``file:line``, the prefix of error messages about the line.
        pid: Person id as written.
        kind: ``'RGB'``, ``'IR'`` or ``'RGB/IR'``.
        camera: Name of the camera, one of ``CAMERAS``.
        tracklet: Tracklet id as written.
    """

    where: str
    pid: str
    kind: str
    camera: str
    tracklet: str


def parse_lines(path: Path, kinds: tuple[str, ...]) -> list[Line]:
    """Parse a list file with ``pid modality camera tracklet_id`` per line; the modality must be one of ``kinds``.

    Raises:
        DatasetError: If an entry cannot be parsed; names file and line.
    """
    lines = index_files.parse_lines(path, lambda text: _parse_line(text, kinds))
    return [Line(f'{path}:{number}', *fields) for number, fields in enumerate(lines, start=1)]


def _parse_line(text: str, kinds: tuple[str, ...]) -> list[str]:
    fields = text.split()
    if len(fields) != 4:
        raise ValueError(
            f'expected four fields "pid modality camera tracklet_id", got {text[:80]!r}; {index_files.RESTORE}'
        )
    _, kind, camera, _ = fields
    if kind not in kinds:
        raise ValueError(f'modality must be {" or ".join(kinds)} here, got {kind[:40]!r}; correct the line')
    if camera not in CAMERAS:
        raise ValueError(f'unknown camera {camera[:40]!r}, expected one of {", ".join(CAMERAS)}; correct the line')
    return fields


def read_data_paths(path: Path) -> Mapping[str, Any]:
    """Read ``data_paths.json``: ``{pid: {"RGB"|"IR"|"FakeIR": {camera: {tracklet_id: [path, ...]}}}}``.

    ``frames_of`` checks the inner levels when they are used.

    Raises:
        DatasetError: If the file is missing, not JSON, or not a mapping.
    """
    data = read_json(path)
    if not isinstance(data, dict) or not data:
        raise DatasetError(
            f'{path}:1: expected a JSON object {{pid: {{modality: {{camera: {{tracklet: [path, ...]}}}}}}}}; '
            f'{index_files.RESTORE}'
        )
    return data


def frames_of(data: Mapping[str, Any], line: Line, modality: Modality, fake_ir: bool = False) -> tuple[str, ...]:
    """Look up the frames of one modality of a line, as paths relative to the dataset's root.

    Args:
        data: Content of ``data_paths.json``.
        line: The line; ``'RGB/IR'`` lines have both modalities.
        modality: Visible or infrared.
        fake_ir: Replace ``/RGB/`` by ``/FakeIR/``, the infrared image generated from each visible one.

    Raises:
        DatasetError: If the tracklet is not listed, is empty, or a path leaves the image folder.
    """
    keys = (line.pid, modality.name, line.camera, line.tracklet)
    entry: Any = data
    for key in keys:
        entry = entry.get(key) if isinstance(entry, dict) else None
    named = ' '.join(keys)
    if not isinstance(entry, list) or not entry or not all(isinstance(path, str) for path in entry):
        fault = 'is not listed' if entry is None else 'is no list of frame paths'
        raise DatasetError(
            f'{line.where}: tracklet {named!r} {fault} in data_paths.json; take both files from the same archive'
        )
    check_paths(entry, f'{line.where}: tracklet {named!r} of data_paths.json')
    frames = tuple(IMAGE_FOLDER + path for path in entry)
    return tuple(_fake(frame, line.where) for frame in frames) if fake_ir else frames


def frames_with_lines(
    root: Path, lines: Sequence[Line]
) -> tuple[list[str], list[tuple[str, ...]], dict[str, list[str]]]:
    """Look up the tracklets of lines of list files; each ``'RGB/IR'`` line gives two.

    Returns:
        ``file:line`` with the modality, and frames, of N tracklets, and ``person``, ``modality``, ``camera`` and
        ``tracklet`` of each as written.
    """
    data = read_data_paths(index_file(root, 'data_paths.json'))
    entries = [(line, m) for line in lines for m in Modality if m.name in line.kind.split('/')]
    told = {
        'person': [line.pid for line, _ in entries],
        'modality': [modality.name for _, modality in entries],
        'camera': [line.camera for line, _ in entries],
        'tracklet': [line.tracklet for line, _ in entries],
    }
    wheres = [f'{Path(line.where).name} {modality.value}' for line, modality in entries]
    return wheres, [frames_of(data, line, modality) for line, modality in entries], told


def count_tracklets(data: Mapping[str, Any]) -> tuple[int, int]:
    """Count tracklets and frames in ``data_paths.json``, excluding generated infrared frames."""
    lengths = [
        len(paths)
        for person in data.values()
        if isinstance(person, dict)
        for modality in ('RGB', 'IR')
        for tracklets in _values(person.get(modality))
        for paths in _values(tracklets)
        if isinstance(paths, list)
    ]
    return len(lengths), sum(lengths)


def _values(mapping: Any) -> list[Any]:
    return list(mapping.values()) if isinstance(mapping, dict) else []


def _fake(frame: str, where: str) -> str:
    if '/RGB/' not in frame:
        raise DatasetError(
            f'{where}: visible frame {frame!r} has no /RGB/ folder, so its generated infrared frame cannot '
            'be found; use fake_ir=False'
        )
    return frame.replace('/RGB/', '/FakeIR/')
