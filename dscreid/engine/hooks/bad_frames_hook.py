"""Record the frames that a run could not read in ``bad_frames.json`` in its work directory."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from dscreid.datasets import TrackletDataset
from dscreid.datasets.bad_frames import OnBadFrame, describe_frames
from dscreid.distributed import gather_objects
from dscreid.errors import CheckpointError
from dscreid.registry import HOOKS
from dscreid.utils.records import read_json_object, write_json

RECORD_FILE = 'bad_frames.json'
_WHAT, _REMEDY = 'record of bad frames', 'remove it'
_KEY = ('dataset', 'split', 'index', 'on_bad_frame')


@HOOKS.register_module()
class BadFramesHook(Hook):
    """Log new bad frames after each epoch and record all of them in ``bad_frames.json`` in the work directory.

    Covers the datasets of loops and hooks whose ``on_bad_frame`` is ``'substitute'`` or ``'skip_tracklet'``. A resumed
    run adds to its record, a new run starts a new one, and an evaluation adds its test split.
    """

    # after everything in an epoch that loads data
    priority = 'LOWEST'

    def __init__(self) -> None:
        self._logged: set[str] = set()

    def before_train(self, runner) -> None:
        """Remove the record of an earlier run in the same folder."""
        if runner.iter == 0 and is_main_process():
            Path(runner.work_dir, RECORD_FILE).unlink(missing_ok=True)

    def after_train(self, runner) -> None:
        """Update the record again, because other hooks may have extracted features after the last epoch."""
        self._after_epoch(runner)

    def _after_epoch(self, runner, mode: str = 'train') -> None:
        found = [
            dict(
                dataset=dataset.NAME,
                split=dataset.split,
                index=dataset.fingerprint(),
                on_bad_frame=dataset.on_bad_frame.value,
                count=len(bad),
                skipped_tracklets=dataset.num_skipped_tracklets,
                frames=list(bad),
            )
            for dataset in tolerant_datasets(runner)
            for bad in gather_objects(dataset.bad_frames())
        ]
        if not found or not is_main_process():
            return
        entries = merge_entries(read_entries(runner.work_dir), found)
        write_json(Path(runner.work_dir, RECORD_FILE), dict(datasets=entries))
        for entry in merge_entries([], found):
            new = [bad for bad in entry['frames'] if bad['frame'] not in self._logged]
            self._logged.update(bad['frame'] for bad in new)
            if new:
                runner.logger.warning(
                    f'{entry["dataset"]} {entry["split"]}, on_bad_frame={entry["on_bad_frame"]}: {len(new)} frames '
                    f'that cannot be read ({entry["count"]} so far, all in {RECORD_FILE}): {describe_frames(new)}'
                )


def tolerant_datasets(runner: Runner) -> Iterator[TrackletDataset]:
    """Yield each dataset of a runner's loops and hooks that tolerates bad frames once."""
    # a loop that is still a config was never used, and the public properties would build it
    loops = [getattr(runner, f'_{name}_loop') for name in ('train', 'val', 'test')]
    datasets = [getattr(getattr(owner, 'dataloader', None), 'dataset', None) for owner in (*loops, *runner.hooks)]
    for dataset in {id(dataset): dataset for dataset in datasets}.values():
        if isinstance(dataset, TrackletDataset) and dataset.on_bad_frame is not OnBadFrame.ERROR:
            yield dataset


def merge_entries(before: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Merge newer entries into earlier ones: one per dataset, split, index and policy, with frames sorted by path."""
    merged: dict[tuple, dict[str, Any]] = {}
    for entry in (*before, *now):
        key = tuple(entry[name] for name in _KEY)
        known = merged.get(key, {}).get('frames', ())
        frames = {frame['frame']: dict(frame) for frame in (*known, *entry['frames'])}
        merged[key] = {**entry, 'count': len(frames), 'frames': [frames[name] for name in sorted(frames)]}
    return [merged[key] for key in sorted(merged)]


def read_entries(work_dir: str | Path) -> list[dict[str, Any]]:
    """Read the entries of a run's record, if any; raise CheckpointError if it is not valid."""
    path = Path(work_dir, RECORD_FILE)
    if not path.is_file():
        return []
    content = read_json_object(path, _WHAT, _REMEDY)
    try:
        entries = content['datasets']
        words = [entry[name] for entry in entries for name in _KEY]
        words += [bad[name] for entry in entries for bad in entry['frames'] for name in ('frame', 'fault')]
        if all(isinstance(word, str) for word in words):
            return merge_entries([], entries)
    except (TypeError, KeyError):
        pass
    raise CheckpointError(f'{path}: is not a {_WHAT}; {_REMEDY}')
