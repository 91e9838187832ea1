"""Tracks in a CocoVID file."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from dscreid.errors import DatasetError
from dscreid.tracks.boxes import TrackedBoxes, from_columns
from dscreid.tracks.tables import read_json, whole_numbers
from dscreid.tracks.track_file import TrackFile, count_from_zero


class CocoVideo(NamedTuple):
    """Part of a CocoVID file that belongs to one video: its entries in ``images`` and ``annotations``."""

    images: list[dict[str, Any]]
    annotations: list[dict[str, Any]]


def coco_video(file: TrackFile, content: Any) -> CocoVideo:
    """Find the entries of a video in the content of a CocoVID file; raises DatasetError if the file lacks the video."""
    with _coco_errors(file):
        videos = {str(video['name']): video['id'] for video in content.get('videos', [])}
        images = content['images']
        if len({image.get('video_id') for image in images}) > 1:
            if file.video not in videos:
                names = ', '.join(sorted(videos)[:5])
                raise DatasetError(f'{file.path}: no video is named {file.video!r}; its videos are {names}')
            images = [image for image in images if image['video_id'] == videos[file.video]]
        known = {image['id'] for image in images}
        return CocoVideo(images, [entry for entry in content['annotations'] if entry['image_id'] in known])


@contextmanager
def _coco_errors(file: TrackFile) -> Iterator[None]:
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DatasetError(f'{file.path}: not a CocoVID file ({error!r}); check how it was written') from None


def read_cocovid(file: TrackFile) -> TrackedBoxes:
    """Read the boxes of a video; raises DatasetError if the file has another form."""
    found = coco_video(file, read_json(file.path))
    with _coco_errors(file):
        frame_of = {image['id']: image['frame_id'] for image in found.images}
        rows = [
            (frame_of[a['image_id']], a.get('instance_id', -1), *a['bbox'], a.get('score', np.nan))
            for a in found.annotations
        ]
        table = np.array(rows, dtype=np.float64).reshape(len(rows), 7)
    frames = count_from_zero(file, whole_numbers(file.path, table[:, 0], 'frame'), usual=0)
    return from_columns(frames, whole_numbers(file.path, table[:, 1], 'id'), table[:, 2:6], table[:, 6])
