"""Record the frames that a run could not read."""

from collections.abc import Iterator
from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from dscreid.datasets import TrackletDataset
from dscreid.datasets.bad_frames import OnBadFrame, describe_frames
from dscreid.distributed import gather_objects
from dscreid.engine.bad_frame_record import (
    RECORD_FILE,
    describe_dataset,
    merge_entries,
    read_entries,
    write_entries,
)
from dscreid.registry import HOOKS


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
        gathered = [
            describe_dataset(dataset, bad)
            for dataset in tolerant_datasets(runner)
            for bad in gather_objects(dataset.bad_frames())
        ]
        if not gathered or not is_main_process():
            return
        entries = merge_entries(read_entries(runner.work_dir), gathered)
        write_entries(runner.work_dir, entries)
        for entry in merge_entries([], gathered):
            new = [bad for bad in entry['frames'] if bad['frame'] not in self._logged]
            if new:
                runner.logger.warning(
                    f'{entry["dataset"]} {entry["split"]}, on_bad_frame={entry["on_bad_frame"]}: {len(new)} frames '
                    f'that cannot be read ({entry["count"]} so far, all in {RECORD_FILE}): {describe_frames(new)}'
                )
            self._logged.update(bad['frame'] for bad in new)


def tolerant_datasets(runner: Runner) -> Iterator[TrackletDataset]:
    """Yield each dataset of a runner's loops and hooks that tolerates bad frames once."""
    # a loop that is still a config was never used, and the public properties would build it
    loops = [getattr(runner, f'_{name}_loop') for name in ('train', 'val', 'test')]
    seen: set[int] = set()
    for owner in (*loops, *runner.hooks):
        dataset = getattr(getattr(owner, 'dataloader', None), 'dataset', None)
        if not isinstance(dataset, TrackletDataset) or id(dataset) in seen:
            continue
        seen.add(id(dataset))
        if dataset.on_bad_frame is not OnBadFrame.ERROR:
            yield dataset
