import cv2
import numpy as np
import pytest

from dscreid.datasets import frame_files
from dscreid.datasets.transforms import LoadFrames, load_frames
from dscreid.errors import ConfigError, DatasetError
from dscreid.structures import Modality, Tracklet


@pytest.fixture
def root(tmp_path):
    frame_files._real_path.cache_clear()
    folder = tmp_path / 'root'
    (folder / 'a').mkdir(parents=True)
    picture = np.zeros((20, 10, 3), dtype=np.uint8)
    picture[..., 2] = 250  # red, in OpenCV's order
    cv2.imwrite(str(folder / 'a/red.png'), picture)
    cv2.imwrite(str(folder / 'a/red.jpg'), picture)
    return folder


def load(root, *paths, **arguments):
    tracklet = Tracklet(paths, Modality.RGB, 4)
    results = {'tracklet': tracklet, 'root': root, 'index': 7, 'frame_paths': paths}
    return LoadFrames(**{'size': (20, 10), **arguments})(results)['frames']


def test_frames_come_in_rgb_order(root):
    frames = load(root, 'a/red.png', 'a/red.png')
    assert frames.shape == (2, 20, 10, 3)
    assert frames.dtype == np.uint8
    assert (frames == [250, 0, 0]).all()


def test_resized_to_height_and_width(root):
    assert load(root, 'a/red.png', size=(8, 6)).shape == (1, 8, 6, 3)


def test_grey_files_get_three_channels(root):
    cv2.imwrite(str(root / 'a/grey.png'), np.full((20, 10), 77, np.uint8))
    assert (load(root, 'a/grey.png') == 77).all()


def test_area_averaging_of_a_checkerboard(root):
    board = (np.indices((20, 12)).sum(0) % 2 * 255).astype(np.uint8)
    board[::4] = 0
    cv2.imwrite(str(root / 'a/board.png'), board)
    shrunk = load(root, 'a/board.png', size=(5, 3), area_when_shrinking=True)[0, ..., 0]
    expected = board.reshape(5, 4, 3, 4).mean(axis=(1, 3))
    np.testing.assert_allclose(shrunk, expected, atol=1)


def test_a_repeated_frame_is_read_once(root, monkeypatch):
    calls = []
    original = load_frames.decode_frame
    monkeypatch.setattr(load_frames, 'decode_frame', lambda content: calls.append(1) or original(content))
    assert len(load(root, 'a/red.png', 'a/red.jpg', 'a/red.png')) == 3
    assert len(calls) == 2


def test_missing_frame_names_file_and_tracklet(root):
    with pytest.raises(DatasetError, match=r'a/none.jpg: the frame is missing.*tracklet 7, rgb, camera 4'):
        load(root, 'a/none.jpg')


@pytest.mark.parametrize('content', [b'', b'no image at all', b'\xff\xd8\xff\xe0garbage\xff\xd9'])
def test_no_image(root, content):
    (root / 'a/bad.jpg').write_bytes(content)
    with pytest.raises(DatasetError, match=r'a/bad.jpg: not a complete image file .*tracklet 7'):
        load(root, 'a/bad.jpg')


@pytest.mark.parametrize('missing', [2, 100, 10_000])
def test_a_cut_off_jpeg_is_refused(root, missing):
    noise = np.random.default_rng(0).integers(0, 256, (200, 100, 3), dtype=np.uint8)
    content = cv2.imencode('.jpg', noise)[1].tobytes()
    (root / 'a/cut.jpg').write_bytes(content[:-missing])
    with pytest.raises(DatasetError, match='not a complete image'):
        load(root, 'a/cut.jpg')
    (root / 'a/whole.jpg').write_bytes(content + b'trailing bytes')
    assert load(root, 'a/whole.jpg').any()


def test_a_folder_is_no_frame(root):
    with pytest.raises(DatasetError, match='cannot be read'):
        load(root, 'a')


def test_links_out_of_the_root_are_refused(root, tmp_path):
    outside = tmp_path / 'outside'
    outside.mkdir()
    cv2.imwrite(str(outside / 'x.png'), np.zeros((20, 10, 3), np.uint8))
    (root / 'a/file.png').symlink_to(outside / 'x.png')
    (root / 'b').symlink_to(outside)
    for path in ('a/file.png', 'b/x.png', '../outside/x.png'):
        with pytest.raises(DatasetError, match='leads out of the data root'):
            load(root, path)


def test_links_inside_the_root_and_a_linked_root_are_fine(root, tmp_path):
    (root / 'a/alias.png').symlink_to(root / 'a/red.png')
    (tmp_path / 'linked').symlink_to(root)
    for folder in (root, tmp_path / 'linked'):
        assert (load(folder, 'a/alias.png') == [250, 0, 0]).all()


@pytest.mark.parametrize('arguments', [{'size': (0, 10)}, {'size': (1, 2, 3)}, {'backend': 'other'}])
def test_wrong_arguments(arguments):
    with pytest.raises(ConfigError, match='LoadFrames'):
        LoadFrames(**arguments)
