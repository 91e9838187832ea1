"""Videos whose frames have their number as brightness, so that crops tell where they are from."""

import cv2
import pytest
from numbered_frames import SIZE, picture


@pytest.fixture
def make_video(tmp_path):
    """Write a video of ``frames`` frames, and return its path."""

    def make(name='gate.avi', frames=30, fps=10.0):
        path = tmp_path / name
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*'MJPG'), fps, SIZE)
        assert writer.isOpened()
        for number in range(frames):
            writer.write(picture(number))
        writer.release()
        return path

    return make


@pytest.fixture
def make_tracks(tmp_path):
    """Write MOT results: the tracks' ids and frames from 0, each with one box in the right half."""

    def make(name='gate.txt', tracks=((1, range(30)),), box=(90, 10, 40, 100)):
        rows = [f'{frame + 1},{track},{",".join(map(str, box))},0.9' for track, frames in tracks for frame in frames]
        (tmp_path / name).write_text('\n'.join(rows))
        return tmp_path / name

    return make
