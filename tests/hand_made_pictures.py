"""Image data sets of a few pictures, written by hand and independently of the loaders."""

import cv2
import numpy as np

PICTURE = cv2.imencode('.jpg', np.full((8, 4, 3), 90, np.uint8))[1].tobytes()
#: Persons 1 and 2 are training, 3 validation, 4 and 10 test persons.
SYSU_PICTURES = (
    'cam1/0001/0001.jpg', 'cam3/0001/0001.jpg', 'cam4/0002/0001.jpg', 'cam6/0002/0001.jpg', 'cam5/0003/0007.jpg',
    'cam3/0003/0001.jpg', 'cam1/0004/0002.jpg', 'cam1/0004/0001.jpg', 'cam2/0004/0001.jpg', 'cam3/0004/0001.jpg',
    'cam6/0004/0001.jpg', 'cam1/0010/0001.jpg', 'cam6/0010/0003.jpg',
)  # fmt: skip
LLCM_PICTURES = tuple(
    [f'test_vis/cam{camera}/0004/a.jpg' for camera in range(1, 10)]
    + [f'test_nir/cam{camera}/0004/a.jpg' for camera in range(1, 10) if camera != 3]
    + ['test_nir/cam1/0010/b.jpg', 'test_vis/cam2/0010/b.jpg']
)


def write_pictures(root, pictures):
    for name in pictures:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(PICTURE)


def write_text(root, files):
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def write_sysu(root):
    write_pictures(root, SYSU_PICTURES)
    write_text(root, {'exp/train_id.txt': '1,2\n', 'exp/val_id.txt': '3\n', 'exp/test_id.txt': '4,10\n'})
    return root


def write_regdb(root, trials=(1, 2)):
    """Three persons with one picture in each modality; trial t tests person t."""
    for trial in trials:
        for kind in ('visible', 'thermal'):
            lines = {'train': [], 'test': []}
            for person in (1, 2, 3):
                picture = f'{kind.title()}/{person}/{kind[0]}_{person}.bmp'
                own = lines['test' if person == trial else 'train']
                own.append(f'{picture} {len(own)}')
                write_pictures(root, [picture])
            for split, own in lines.items():
                write_text(root, {f'idx/{split}_{kind}_{trial}.txt': '\n'.join(own) + '\n'})
    return root


def write_llcm(root):
    write_pictures(root, LLCM_PICTURES)
    train = {'vis': ['0001_c01_s1_f1_vis.jpg', '0007_c09_s1_f1_vis.jpg'], 'nir': ['0001_c02_s1_f1_nir.jpg']}
    for kind, names in train.items():
        paths = [f'{kind}/{name[:4]}/{name}' for name in names]
        write_pictures(root, paths)
        write_text(root, {f'idx/train_{kind}.txt': ''.join(f'{path} {label}\n' for label, path in enumerate(paths))})
    write_text(root, {'idx/test_id.txt': '4,10'})
    return root
