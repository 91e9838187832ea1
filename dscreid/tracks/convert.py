"""Cut the tracklets of videos into pictures: a data set that ``TrackletFolder`` reads."""

import json
import multiprocessing
import re
import shutil
import signal
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from dscreid.datasets.tracklet_table import write_table
from dscreid.errors import ConfigError, DatasetError, DscreidError
from dscreid.tracks.boxes import TrackedBoxes
from dscreid.tracks.conversion_record import (
    ELSEWHERE,
    RECORDS,
    ConvertedVideo,
    identity_of,
    read_record,
    record_path,
    write_record,
)
from dscreid.tracks.filters import FilterSettings, Selection, select_tracklets
from dscreid.tracks.formats import read_tracks
from dscreid.tracks.sources import Source
from dscreid.tracks.track_file import TrackFile
from dscreid.tracks.video import VideoHeader, read_frames, read_header, settled_times
from dscreid.utils.files import only_process_in, remove_partial_files
from dscreid.utils.progress import progress_bar

TABLE = 'tracklets.csv'
#: Folder in the output with the crops of unfinished videos.
_UNFINISHED = '.unfinished'
#: Set in each process that converts for :func:`convert`.
_shared: '_Shared | None' = None


@dataclass(frozen=True)
class ConversionSettings:
    """Settings that apply to all videos.

    Attributes:
        filters: Rules for boxes and tracks.
        quality: JPEG quality of the crops, 1 to 100.
        columns: See ``TrackFile``.
    """

    filters: FilterSettings = field(default_factory=FilterSettings)
    quality: int = 95
    columns: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if not 1 <= self.quality <= 100:
            raise ConfigError(f'the JPEG quality is {self.quality}; choose 1 to 100')


def convert(sources: Sequence[Source], out: Path, settings: ConversionSettings, jobs: int = 1) -> list[ConvertedVideo]:
    """Cut the tracklets of all videos into ``OUT/CAMERA_MODALITY/TRACKLET/FRAME.jpg`` and write ``OUT/tracklets.csv``.

    An interrupted conversion continues after the last finished video, and the table always lists exactly the finished
    ones. Videos can be added to the list later.

    Args:
        sources: The videos.
        out: Folder to write: new, empty, or of an earlier conversion with the same settings.
        settings: Settings of all videos.
        jobs: Number of processes, each for one video at a time.

    Returns:
        One record per video, in the order of ``sources``.

    Raises:
        DatasetError: If a video or its tracks cannot be used, or ``out`` has other content. Finished videos are kept.
    """
    names = unique_names(sources)
    if out.is_dir() and any(out.iterdir()) and not (out / RECORDS).is_dir():
        raise DatasetError(f'{out}: contains files, but none of a conversion; choose a new or empty folder')
    with only_process_in(out):
        (out / RECORDS).mkdir(exist_ok=True)
        shutil.rmtree(out / _UNFINISHED, ignore_errors=True)
        for folder in (out, out / RECORDS):
            remove_partial_files(folder)
        done = {name: _finished(out, name, _made_from(source, settings)) for name, source in names.items()}
        due = {name: source for name, source in names.items() if done[name] is None}
        _write_table(out, done)
        for video in _convert_all(due, out, settings, jobs) if due else ():
            done[video.name] = video
            _write_table(out, done)
        shutil.rmtree(out / _UNFINISHED, ignore_errors=True)
    return [video for video in done.values() if video is not None]


def _write_table(out: Path, done: Mapping[str, ConvertedVideo | None]) -> None:
    """List the tracklets of all finished videos."""
    write_table(out / TABLE, [row for video in done.values() if video is not None for row in video.rows()])


def unique_names(sources: Sequence[Source]) -> dict[str, Source]:
    """Name each video after its camera and file; equal names get a number."""
    names: dict[str, Source] = {}
    for source in sources:
        stem = re.sub(r'[^\w.-]+', '_', source.video.stem, flags=re.ASCII) or 'video'
        name, number = f'{source.folder}/{stem}', 1
        while name in names:
            number += 1
            name = f'{source.folder}/{stem}.{number}'
        names[name] = source
    return names


def _convert_all(
    due: dict[str, Source], out: Path, settings: ConversionSettings, jobs: int
) -> Iterator[ConvertedVideo]:
    """Convert videos; yield each one when it is finished. Errors are raised after the other videos."""
    headers: dict[str, VideoHeader] = {}
    errors: list[str] = []
    for name, source in due.items():
        try:
            headers[name] = read_header(source.video, source.fps)
        except DscreidError as error:
            errors.append(str(error))
    context = multiprocessing.get_context('spawn')  # instead of fork, because the progress bar has a thread
    shared = _Shared(context.Value('q', 0), context.Event())
    jobs = min(jobs, len(headers))
    pool: Executor = ThreadPoolExecutor(1, initializer=_share, initargs=(shared,))
    if jobs > 1:
        pool = ProcessPoolExecutor(jobs, context, initializer=_start_process, initargs=(shared,))
    try:
        with progress_bar() as bar:
            task = bar.add_task('reading frames', total=sum(header.num_frames for header in headers.values()))
            pending: set[Future[ConvertedVideo]] = {
                pool.submit(convert_video, name, due[name], header, out, settings) for name, header in headers.items()
            }
            while pending:
                finished, pending = wait(pending, timeout=0.2, return_when=FIRST_COMPLETED)
                bar.update(task, completed=shared.frames_read.value)
                for future in finished:
                    try:
                        yield future.result()
                    except DscreidError as error:
                        errors.append(str(error))
    except BrokenProcessPool as error:
        raise DatasetError(
            'a process was killed, perhaps for lack of memory; run the command again with fewer --jobs'
        ) from error
    finally:
        shared.stop.set()
        pool.shutdown(wait=True, cancel_futures=True)
        _share(None)
    if errors:
        raise DatasetError('; '.join(errors))


class _Shared(NamedTuple):
    """What the parent and the processes share: the number of frames read so far, and a request to stop."""

    frames_read: Any
    stop: Any

    def advance(self) -> None:
        """Count a frame; raises KeyboardInterrupt if the parent was interrupted."""
        with self.frames_read.get_lock():
            self.frames_read.value += 1
        if self.stop.is_set():
            raise KeyboardInterrupt


def _share(shared: _Shared | None) -> None:
    global _shared
    _shared = shared


def _start_process(shared: _Shared) -> None:
    """Prepare a process: only the parent handles Ctrl-C, and each process has one thread."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    _share(shared)


def convert_video(
    name: str, source: Source, header: VideoHeader, out: Path, settings: ConversionSettings
) -> ConvertedVideo:
    """Cut the tracklets of one video, and record it as finished; see :func:`convert`."""
    file = TrackFile(
        source.tracks, header.size, header.num_frames, source.first_frame, dict(settings.columns), source.video.name
    )
    boxes = read_tracks(file, source.format)
    work = out / _UNFINISHED / name
    selection, times = _cut(boxes, source.video, header, work, settings)
    tracklets = [_cells(name, source, selection, number, times) for number in range(len(selection.names))]
    for cells, part in zip(tracklets, selection.names, strict=True):
        folder = out / cells['folder']
        shutil.rmtree(folder, ignore_errors=True)  # of an interrupted conversion, which has no record
        folder.parent.mkdir(parents=True, exist_ok=True)
        (work / part).rename(folder)
    video = ConvertedVideo(
        name=name,
        made_from=_made_from(source, settings),
        num_frames=len(times),
        num_boxes=len(boxes),
        num_crops=len(selection.boxes),
        left_out=selection.left_out,
        splits=selection.splits,
        tracklets=tracklets,
    )
    write_record(out, video, selection)
    return video


def _cut(
    boxes: TrackedBoxes, video: Path, header: VideoHeader, work: Path, settings: ConversionSettings
) -> tuple[Selection, npt.NDArray[np.float64]]:
    """Write the crops; return the selection and the times of all frames.

    Number and times of the frames are known after reading them. If they differ from the header so much that the
    selection changes, the video is read again.
    """
    times, selection = header.times(), None
    for _ in range(2):
        chosen = select_tracklets(boxes, header.size, times, settings.filters)
        if selection is not None and chosen.has_same_boxes(selection):
            break
        selection = chosen
        shutil.rmtree(work, ignore_errors=True)
        times = settled_times(header, _write_crops(selection, video, header, work, settings.quality))
        if not len(times):
            raise DatasetError(f'{video}: no frame can be read; is the file complete?')
    return chosen, times


def _write_crops(
    selection: Selection, video: Path, header: VideoHeader, work: Path, quality: int
) -> npt.NDArray[np.float64]:
    """Write the crops to one folder per tracklet, and return the times of all frames, float64 (F,)."""
    folders = [work / name for name in selection.names]
    for folder in folders:
        folder.mkdir(parents=True)
    rows_of: dict[int, list[int]] = {}
    for row, frame in enumerate(selection.boxes.frame.tolist()):
        rows_of.setdefault(frame, []).append(row)
    corners = selection.boxes.corners.astype(np.int64).tolist()
    times = []
    for number, time, image in read_frames(video, header, rows_of):
        times.append(time)
        if _shared is not None:
            _shared.advance()
        if image is None:
            continue
        for row in rows_of[number]:
            left, top, right, bottom = corners[row]
            encoded = cv2.imencode('.jpg', image[top:bottom, left:right], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
            (folders[int(selection.tracklet[row])] / f'{number:06d}.jpg').write_bytes(encoded.tobytes())
    return np.array(times, dtype=np.float64)


def _cells(
    name: str, source: Source, selection: Selection, number: int, times: npt.NDArray[np.float64]
) -> dict[str, str]:
    """Cells of the table for one tracklet."""
    frames = selection.tracked.frame[selection.tracked_in == number]
    folder = f'{name}_{selection.names[number]}'
    cells = dict(tracklet=folder, camera=source.camera, modality=source.modality.value, folder=folder)
    if source.start_time is not None:
        for column, frame in (('start_time', frames[0]), ('end_time', frames[-1])):
            moment = source.start_time + timedelta(seconds=round(float(times[frame]), 3))
            cells[column] = moment.isoformat(timespec='milliseconds')
    return cells


def _made_from(source: Source, settings: ConversionSettings) -> dict[str, Any]:
    """Describe everything that determines the crops of a video, as JSON holds it."""
    made_from = dict(asdict(settings), video=identity_of(source.video), tracks=identity_of(source.tracks))
    for name in ('start_time', 'fps', 'format', 'first_frame'):
        made_from[name] = getattr(source, name)
    return json.loads(json.dumps(made_from, default=str))


def _finished(out: Path, name: str, made_from: dict[str, Any]) -> ConvertedVideo | None:
    """Read the record of a finished video; None without one."""
    path = record_path(out, name)
    if not path.is_file():
        return None
    video = read_record(path)
    if changed := sorted(key for key in made_from if video.made_from.get(key) != made_from[key]):
        raise DatasetError(f'{out}: {name} was converted before with other {", ".join(changed)}; {ELSEWHERE}')
    return video
