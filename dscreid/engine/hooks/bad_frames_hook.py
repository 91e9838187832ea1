"""Record the frames that a run could not read in ``bad_frames.json`` in its work directory."""

from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook

from dscreid.datasets import TrackletDataset
from dscreid.datasets.bad_frames import OnBadFrame
from dscreid.registry import HOOKS
from dscreid.utils.records import read_json_object, write_json

RECORD_FILE = 'bad_frames.json'


@HOOKS.register_module()
class BadFramesHook(Hook):
    """Record the bad frames of a run's datasets in ``bad_frames.json`` in the work directory, by dataset and split.

    Covers the datasets whose ``on_bad_frame`` is ``'substitute'`` or ``'skip_tracklet'``. A resumed run adds to its
    record, a new run starts a new one, and an evaluation adds its test split.
    """

    def before_train(self, runner) -> None:
        """Begin or continue the record."""
        if runner.iter == 0 and is_main_process():
            Path(runner.work_dir, RECORD_FILE).unlink(missing_ok=True)
        self.before_test(runner)

    def before_test(self, runner) -> None:
        """Add the datasets of the loops."""
        # a loop that is still a config was never used, and the public properties would build it
        loops = [getattr(runner, f'_{name}_loop') for name in ('train', 'val', 'test')]
        found = {}
        for dataset in [getattr(getattr(loop, 'dataloader', None), 'dataset', None) for loop in loops]:
            if isinstance(dataset, TrackletDataset) and dataset.on_bad_frame is not OnBadFrame.ERROR:
                frames = dataset.bad_frames()
                found[f'{dataset.NAME} {dataset.split}'] = dict(
                    index=dataset.fingerprint(),
                    on_bad_frame=dataset.on_bad_frame.value,
                    count=len(frames),
                    skipped_tracklets=dataset.num_skipped_tracklets,
                    frames=frames,
                )
        if found and is_main_process():
            write_json(Path(runner.work_dir, RECORD_FILE), read_entries(runner.work_dir) | found)


def read_entries(work_dir: str | Path) -> dict[str, Any]:
    """Read the entries of a run's record, if any; raise CheckpointError if it is no JSON object."""
    path = Path(work_dir, RECORD_FILE)
    return read_json_object(path, 'record of bad frames', 'remove it') if path.is_file() else {}
