"""Real tracks of a real video: OpenCV's people detector and ByteTrack on ``vtest.avi``.

``vtest.avi`` (768x576, 795 frames at 10 per second) comes with Debian's ``opencv-doc``. The tracks are written
as MOTChallenge results, and the video a second time as gray pictures with other contrast, which stand in for infrared.

    pip install trackers "opencv-python-headless<5"
    python tests/real_pedestrians.py vtest.avi OUT
"""

import sys
from pathlib import Path

import cv2
import numpy as np
import supervision as sv
from trackers import ByteTrackTracker


def detect(frame):
    """Find people, as boxes (N, 4) of two corners and confidences (N,)."""
    detector = cv2.HOGDescriptor()
    detector.setSVMDetector(cv2.HOGDescriptor_getDefaultPeopleDetector())
    boxes, weights = detector.detectMultiScale(frame, winStride=(8, 8), scale=1.05)
    boxes = np.array(boxes, dtype=float).reshape(-1, 4)
    corners = np.hstack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]])
    return corners, np.clip(np.array(weights).reshape(-1), 0, 1)


def main(video, out):
    """Write ``visible.txt``, ``infrared.avi``, ``infrared.txt`` and ``sources.csv``."""
    reader, out = cv2.VideoCapture(video), Path(out)
    out.mkdir(parents=True, exist_ok=True)
    size = int(reader.get(cv2.CAP_PROP_FRAME_WIDTH)), int(reader.get(cv2.CAP_PROP_FRAME_HEIGHT))
    infrared = cv2.VideoWriter(str(out / 'infrared.avi'), cv2.VideoWriter.fourcc(*'MJPG'), 10, size)
    trackers = [
        ByteTrackTracker(frame_rate=10, track_activation_threshold=0.5, high_conf_det_threshold=0.4) for _ in range(2)
    ]
    lines = [[], []]
    number = 0
    while True:
        found, frame = reader.read()
        if not found:
            break
        number += 1
        gray = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY).astype(float)
        gray = (255 * (1 - gray / 255) ** 1.4).astype(np.uint8)  # inverted contrast, as warm bodies in the cold
        pictures = frame, cv2.cvtColor(gray, cv2.COLOR_GRAY2BGR)
        infrared.write(pictures[1])
        for picture, tracker, written in zip(pictures, trackers, lines, strict=True):
            corners, confidence = detect(picture)
            detections = sv.Detections(xyxy=corners, confidence=confidence, class_id=np.zeros(len(corners), int))
            tracked = tracker.update(detections)
            for (x1, y1, x2, y2), score, track in zip(
                tracked.xyxy, tracked.confidence, tracked.tracker_id, strict=True
            ):
                written.append(f'{number},{track},{x1:.1f},{y1:.1f},{x2 - x1:.1f},{y2 - y1:.1f},{score:.3f},-1,-1,-1')
    infrared.release()
    for name, written in zip(('visible', 'infrared'), lines, strict=True):
        (out / f'{name}.txt').write_text('\n'.join(written) + '\n')
    (out / 'sources.csv').write_text(
        'video,tracks,camera,modality,start_time\n'
        f'{Path(video).absolute()},visible.txt,street,rgb,2026-03-01T12:00:00\n'
        'infrared.avi,infrared.txt,yard,ir,2026-03-01T12:00:00\n'
    )


if __name__ == '__main__':
    main(*sys.argv[1:])
