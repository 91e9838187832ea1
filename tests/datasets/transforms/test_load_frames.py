import cv2
import numpy as np
import pytest
import torch
from references.loading import load_tracklet, make_transform

from dscreid.datasets import frame_files
from dscreid.datasets.decoding import available_decoders
from dscreid.datasets.storage import frame_storage
from dscreid.datasets.transforms import LoadFrames, PackTracklet
from dscreid.errors import ConfigError, DatasetError
from dscreid.models.data_preprocessor import TrackletDataPreprocessor
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


@pytest.fixture(autouse=True, params=available_decoders())
def backend(request, monkeypatch):
    """Every test runs with every decoder."""
    monkeypatch.setitem(DEFAULTS, 'backend', request.param)


DEFAULTS = {'size': (20, 10)}


def load(root, *paths, whole=False, **arguments):
    tracklet = Tracklet(paths, Modality.RGB, 4)
    results = {'tracklet': tracklet, 'root': root, 'index': 7, 'frame_paths': paths}
    results = LoadFrames(**{**DEFAULTS, **arguments})(results)
    return results if whole else results['frames']


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


def test_grey_and_coloured_files_are_resized_alike(root):
    grey = np.random.default_rng(0).integers(0, 256, (31, 17), dtype=np.uint8)
    cv2.imwrite(str(root / 'a/grey.png'), grey)
    cv2.imwrite(str(root / 'a/colour.png'), cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR))
    for options in ({'size': (20, 10)}, {'size': (40, 20)}, {'size': (9, 5), 'area_when_shrinking': True}):
        one, other = load(root, 'a/grey.png', 'a/colour.png', **options)
        np.testing.assert_array_equal(one, other)


def test_reduced_decoding_averages_where_the_picture_is_large_enough(root):
    columns = np.repeat(np.arange(0, 256, 32, dtype=np.uint8), 8)
    picture = np.tile(columns[:, None], (1, 64))
    for name, image in (('wide', picture), ('small', picture[:30, :15])):
        cv2.imwrite(str(root / f'a/{name}.jpg'), image, (cv2.IMWRITE_JPEG_QUALITY, 100))
    reduced = load(root, 'a/wide.jpg', size=(8, 8), reduce=True)[0, ..., 0]
    assert np.abs(reduced[:, 0].astype(int) - np.arange(0, 256, 32)).max() <= 2
    plain = load(root, 'a/small.jpg', size=(20, 10))
    np.testing.assert_array_equal(load(root, 'a/small.jpg', size=(20, 10), reduce=True), plain)


def test_normalised_frames_are_those_of_pil_and_torchvision(root):
    rng = np.random.default_rng(0)
    for name, shape in (('colour', (6, 4, 3)), ('grey', (6, 4))):
        small = rng.integers(0, 256, shape, dtype=np.uint8)
        cv2.imwrite(str(root / f'a/{name}.jpg'), cv2.resize(small, (24, 40), interpolation=cv2.INTER_CUBIC))
    paths = ('a/colour.jpg', 'a/grey.jpg', 'a/colour.jpg')
    packed = PackTracklet()(
        load(root, *paths, size=(40, 24), whole=True) | {'same_as': 7, 'seed': 0, 'position': 0, 'label': None}
    )
    result = TrackletDataPreprocessor()({'inputs': [packed['inputs']]})['inputs'][0]
    torch.testing.assert_close(result, load_tracklet(root, paths, make_transform((40, 24))), rtol=0, atol=1e-5)


def test_area_averaging_of_a_checkerboard(root):
    board = (np.indices((20, 12)).sum(0) % 2 * 255).astype(np.uint8)
    board[::4] = 0
    cv2.imwrite(str(root / 'a/board.png'), board)
    shrunk = load(root, 'a/board.png', size=(5, 3), area_when_shrinking=True)[0, ..., 0]
    expected = board.reshape(5, 4, 3, 4).mean(axis=(1, 3))
    np.testing.assert_allclose(shrunk, expected, atol=1)


def test_a_repeated_frame_is_read_once(root, monkeypatch):
    calls = []
    original = frame_storage.read_frame_bytes
    monkeypatch.setattr(
        frame_storage, 'read_frame_bytes', lambda root, frame: calls.append(frame) or original(root, frame)
    )
    cv2.imwrite(str(root / 'a/blue.png'), np.full((20, 10, 3), (250, 0, 0), np.uint8))
    frames = load(root, 'a/red.png', 'a/blue.png', 'a/red.png')
    assert frames[:, 0, 0].tolist() == [[250, 0, 0], [0, 0, 250], [250, 0, 0]]
    assert calls == ['a/red.png', 'a/blue.png']


def test_missing_frame_names_file_and_tracklet(root):
    with pytest.raises(DatasetError, match=r'a/none.jpg: the frame is missing.*tracklet 7, rgb, camera 4'):
        load(root, 'a/none.jpg')


@pytest.mark.parametrize('content', [b'', b'no image at all', b'\xff\xd8\xff\xe0garbage\xff\xd9'])
def test_no_image(root, content):
    (root / 'a/bad.jpg').write_bytes(content)
    with pytest.raises(DatasetError, match=r'a/bad.jpg: not a complete image file; unpack .*tracklet 7'):
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
