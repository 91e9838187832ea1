"""Outputs of trackers in all formats."""

import json

from dscreid.tracks.track_file import TrackFile

SIZE = (200, 100)
#: One line of each text format, with the frame from 1 as ``one`` where the format counts from 1.
LINES = {
    'mot': '{one},{id},{left},{top},{width},{height},{confidence},-1,-1,-1',
    'mot-gt': '{one}, {id}, {left}, {top}, {width}, {height}, {odd}, 7, 0.{one}',
    'boxmot-results': '{one},{id},{left},{top},{width},{height},1,{one},{confidence}',
    'boxmot-mot': '{one} {id}  {left} {top} {width} {height} {confidence} {odd} -1',
    'boxmot-csv': '{frame},{left},{top},{right},{bottom},{id},{confidence},{odd},{one}',
    'supervision': '{left},{top},{right},{bottom},{odd},{confidence},{id},{frame},"a, {one}"',
    'columns': '"x, {one}",{frame},{left},{top},{width},{height},{id},{odd}',
}
HEADERS = {
    'boxmot-csv': 'frame,x1,y1,x2,y2,id,conf,cls,det_ind',
    'supervision': 'x_min,y_min,x_max,y_max,class_id,confidence,tracker_id,frame,note',
    'columns': 'note,t,x,y,w,h,who,odd',
}
COLUMNS = dict(frame='t', id='who', left='x', top='y', width='w', height='h')


def random_boxes(rng, count=60):
    """Boxes with ids 0 to 4, several of one track in a frame, as dicts; rounded so that text holds them exactly."""
    boxes = []
    for _ in range(count):
        left, top, width, height = (int(value) / 4 for value in rng.integers(1, 200, 4))
        box = dict(left=left, top=top, width=width, height=height, right=left + width, bottom=top + height)
        frame, odd = int(rng.integers(0, 20)), int(rng.integers(0, 2))
        boxes.append(box | dict(frame=frame, one=frame + 1, id=int(rng.integers(0, 5)), odd=odd, confidence=0.5))
    boxes[0] |= dict(frame=0, one=1, odd=1)  # frames count from 0, and one row is considered
    return boxes


def write_original(tmp_path, name, boxes):
    """Write the boxes in a format; return the file, and the boxes in the order of ``read_tracks``."""
    if name in LINES:
        path = tmp_path / f'tracks.{"csv" if name in HEADERS else "txt"}'
        lines = [LINES[name].format(**box) for box in boxes]
        path.write_text('\n'.join([HEADERS[name], *lines] if name in HEADERS else lines))
        read = [box for box in boxes if box['odd']] if name == 'mot-gt' else boxes
        return TrackFile(path, SIZE, 20, columns=COLUMNS if name == 'columns' else {}), read
    if name == 'cocovid':
        return write_coco(tmp_path, boxes), boxes
    folder = tmp_path / 'labels'
    folder.mkdir()
    for frame in range(20):
        lines = [
            f'{box["odd"]} {(box["left"] + box["width"] / 2) / 200} {(box["top"] + box["height"] / 2) / 100} '
            f'{box["width"] / 200} {box["height"] / 100} 0.5 {box["id"]}\n'
            for box in boxes if box['frame'] == frame
        ]  # fmt: skip
        (folder / f'gate_{frame + 1}.txt').write_text(''.join(lines))
    (folder / 'yard_1.txt').write_text('0 0.5 0.5 0.1 0.1 0.9 8\n')
    return TrackFile(folder, SIZE, 20, video='gate.mp4'), sorted(boxes, key=lambda box: box['frame'])


def write_coco(tmp_path, boxes):
    """Write a file of two videos; the first one has the boxes."""
    images = [dict(id=100 * v + f, frame_id=f, video_id=v, file_name=f'{v}/{f}') for v in (3, 4) for f in range(20)]
    annotations = [
        dict(id=n, image_id=300 + box['frame'], video_id=3, instance_id=box['id'], score=0.5, odd=box['odd'],
             bbox=[box[side] for side in ('left', 'top', 'width', 'height')])
        for n, box in enumerate(boxes)
    ]  # fmt: skip
    annotations.insert(1, dict(id=99, image_id=400, video_id=4, instance_id=1, bbox=[0, 0, 9, 9]))
    videos = [dict(id=3, name='gate'), dict(id=4, name='yard')]
    path = tmp_path / 'tracks.json'
    path.write_text(json.dumps(dict(categories=['person'], videos=videos, images=images, annotations=annotations)))
    return TrackFile(path, SIZE, 20, video='gate')
