"""Real tracks of a real video: OpenCV's people detector and ByteTrack on ``vtest.avi``.

``vtest.avi`` (768x576, 795 frames at 10 per second) comes with Debian's ``opencv-doc``. The tracks are written
as MOTChallenge results, and the video a second time as gray pictures with other contrast, which stand in for infrared.

    pip install trackers "opencv-python-headless<5"
    python tests/real_pedestrians.py vtest.avi OUT
"""

import argparse
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import supervision as sv
from trackers import ByteTrackTracker

FPS = 10


def detect(frame: np.ndarray, scale: float) -> sv.Detections:
    """Find people; ``scale`` is the step between the sizes that are searched, > 1."""
    detector = cv2.HOGDescriptor()
    detector.setSVMDetector(cv2.HOGDescriptor_getDefaultPeopleDetector())
    boxes, weights = detector.detectMultiScale(frame, winStride=(8, 8), scale=scale)
    boxes = np.array(boxes, dtype=float).reshape(-1, 4)
    corners = np.hstack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]])
    confidence = np.clip(np.array(weights).reshape(-1), 0, 1)
    return sv.Detections(xyxy=corners, confidence=confidence, class_id=np.zeros(len(corners), int))


def as_infrared(frame: np.ndarray) -> np.ndarray:
    """Gray with inverted contrast, as warm bodies in the cold."""
    gray = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY) / 255
    return cv2.cvtColor((255 * (1 - gray) ** 1.4).astype(np.uint8), cv2.COLOR_GRAY2BGR)


def frames_of(video: str) -> Iterator[np.ndarray]:
    """Read all frames."""
    reader = cv2.VideoCapture(video)
    while (read := reader.read())[0]:
        yield read[1]


class Camera:
    """A tracker and what it found, as lines of MOTChallenge results."""

    def __init__(self, fps: float) -> None:
        self.lines: list[str] = []
        self.tracker = ByteTrackTracker(
            frame_rate=fps, track_activation_threshold=0.5, high_conf_det_threshold=0.4, lost_track_buffer=30
        )

    def track(self, number: int, detections: sv.Detections) -> None:
        """Continue the tracks with a frame; numbers count from 1."""
        tracked = self.tracker.update(detections)
        found = zip(tracked.xyxy, tracked.confidence, tracked.tracker_id, strict=True)
        for (x1, y1, x2, y2), score, track in found:
            self.lines.append(f'{number},{track},{x1:.1f},{y1:.1f},{x2 - x1:.1f},{y2 - y1:.1f},{score:.3f},-1,-1,-1')


def main() -> None:
    """Write ``visible.txt``, ``infrared.avi``, ``infrared.txt`` and ``sources.csv``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('video')
    parser.add_argument('out', type=Path)
    parser.add_argument('--frames', type=int, help='only the first ones')
    parser.add_argument('--step', type=int, default=1, help='the tracker sees each N-th frame')
    parser.add_argument('--scale', type=float, default=1.05, help='step between the sizes of people')
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    cameras = {name: Camera(FPS / args.step) for name in ('visible', 'infrared')}
    infrared = None
    for index, frame in enumerate(islice(frames_of(args.video), args.frames)):
        pictures = {'visible': frame, 'infrared': as_infrared(frame)}
        if infrared is None:
            size = frame.shape[1::-1]
            infrared = cv2.VideoWriter(str(args.out / 'infrared.avi'), cv2.VideoWriter.fourcc(*'MJPG'), FPS, size)
        infrared.write(pictures['infrared'])
        if index % args.step == 0:
            for name, camera in cameras.items():
                camera.track(index + 1, detect(pictures[name], args.scale))
    infrared.release()
    for name, camera in cameras.items():
        (args.out / f'{name}.txt').write_text('\n'.join(camera.lines) + '\n')
    (args.out / 'sources.csv').write_text(
        'video,tracks,camera,modality,start_time\n'
        f'{Path(args.video).absolute()},visible.txt,street,rgb,2026-03-01T12:00:00\n'
        'infrared.avi,infrared.txt,yard,ir,2026-03-01T12:00:00\n'
    )


if __name__ == '__main__':
    main()
