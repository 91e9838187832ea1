"""Record of the frames that a run could not read: ``bad_frames.json`` in its work directory."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dscreid.datasets import TrackletDataset
from dscreid.errors import CheckpointError
from dscreid.utils.files import replacing

RECORD_FILE = 'bad_frames.json'
_KEY = ('dataset', 'split', 'index', 'on_bad_frame')


def describe_dataset(dataset: TrackletDataset, bad: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """Create the record's entry for a dataset and its bad frames, each with ``frame`` and ``fault``."""
    return dict(
        dataset=dataset.NAME,
        split=dataset.split,
        index=dataset.fingerprint(),
        on_bad_frame=dataset.on_bad_frame.value,
        count=len(bad),
        skipped_tracklets=dataset.num_skipped_tracklets,
        frames=[dict(entry) for entry in bad],
    )


def merge_entries(before: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Merge newer entries into earlier ones: one per dataset, split, index and policy, with frames sorted by path."""
    merged: dict[tuple, dict[str, Any]] = {}
    for entry in (*before, *now):
        key = tuple(entry[name] for name in _KEY)
        known = merged.get(key, {}).get('frames', ())
        frames = {frame['frame']: dict(frame) for frame in (*known, *entry['frames'])}
        ordered = [frames[name] for name in sorted(frames)]
        merged[key] = {**entry, 'count': len(ordered), 'frames': ordered}
    return [merged[key] for key in sorted(merged)]


def read_entries(work_dir: str | Path) -> list[dict[str, Any]]:
    """Read the entries of a run's record, if any; raise CheckpointError if it is not valid."""
    path = Path(work_dir, RECORD_FILE)
    if not path.is_file():
        return []
    try:
        entries = json.loads(path.read_text(encoding='utf-8'))['datasets']
        return merge_entries([], [_checked(entry) for entry in entries])
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        reason = ' '.join(str(error).split())[:100]
        raise CheckpointError(
            f'{path}: is not a record of bad frames ({type(error).__name__}: {reason}); remove it'
        ) from error


def _checked(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    words = [entry[name] for name in _KEY]
    words += [bad[name] for bad in entry['frames'] for name in ('frame', 'fault')]
    if not all(isinstance(word, str) for word in words):
        raise TypeError('an entry contains a value that is not a string')
    return entry


def write_entries(work_dir: str | Path, entries: Sequence[Mapping[str, Any]]) -> None:
    """Write a run's record atomically."""
    with replacing(Path(work_dir, RECORD_FILE)) as temporary:
        temporary.write_text(json.dumps(dict(datasets=list(entries)), indent=2) + '\n', encoding='utf-8')
