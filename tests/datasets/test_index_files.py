import pytest

from dscreid.datasets.index_files import check_paths, is_safe_path, read_lines, read_text
from dscreid.errors import DatasetError


@pytest.mark.parametrize('path', ['a.jpg', 'a/b.jpg', 'a/..b/c..jpg', 'a b/ü.jpg', './a.jpg'])
def test_safe_paths(path):
    assert is_safe_path(path)
    check_paths([path], 'x:1')


@pytest.mark.parametrize('path', ['', '/a', '..', '../a', 'a/../../b', 'a/..', 'a\\b', 'C:/a', '~/a', 'a\0b'])
def test_unsafe_paths(path):
    assert not is_safe_path(path)
    with pytest.raises(DatasetError, match='x:1: frame path'):
        check_paths(['fine.jpg', path], 'x:1')


def test_lines_are_stripped_and_numbered_as_in_the_file(tmp_path):
    file = tmp_path / 'index.txt'
    file.write_bytes(b'\xef\xbb\xbf a b \r\n\r\nc\r\n\n\n')
    assert read_lines(file) == ['a b', '', 'c']


def test_no_text(tmp_path):
    file = tmp_path / 'index.txt'
    file.write_bytes(b'ab\xff\xfe')
    with pytest.raises(DatasetError, match=r'index.txt: not a UTF-8 text file \(byte 2\)'):
        read_text(file)
    with pytest.raises(DatasetError, match='cannot be read'):
        read_text(tmp_path)
