import os

import pytest

from dscreid.datasets.index_files import (
    check_paths,
    index_file,
    parse_integer,
    parse_lines,
    read_json,
    read_lines,
    read_text,
)
from dscreid.errors import DatasetError


@pytest.mark.parametrize('path', ['a.jpg', 'a/b.jpg', 'a/..b/c..jpg', 'a b/ü.jpg', './a.jpg'])
def test_safe_paths(path):
    check_paths([path], 'x:1')


@pytest.mark.parametrize(
    'path',
    [
        '',
        '/a',
        '..',
        '../a',
        'a/../../b',
        'a/..',
        'a\\b',
        'C:/a',
        '~/a',
        'a\0b',
        'a\x1b[2J',
        'a\nb',
        'a\ud800b',
    ],
)
def test_unsafe_paths(path):
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


def test_endless_numbers_and_deep_nesting_are_no_index(tmp_path):
    file = tmp_path / 'index.json'
    for content, fault in (('1' * 5000, 'too many digits'), ('[' * 10**5, 'nested too deeply')):
        file.write_text(content)
        with pytest.raises(DatasetError, match=rf'index\.json:1: .*{fault}'):
            read_json(file)


@pytest.mark.timeout(10)
def test_a_pipe_is_no_index_and_does_not_block(tmp_path):
    os.mkfifo(tmp_path / 'index.txt')
    with pytest.raises(DatasetError, match='no regular file'):
        read_text(tmp_path / 'index.txt')


def test_index_files_stay_below_the_root(tmp_path):
    root = tmp_path / 'root'
    root.mkdir()
    (tmp_path / 'outside.txt').write_text('1')
    (root / 'inside.txt').write_text('1')
    (root / 'alias.txt').symlink_to(root / 'inside.txt')
    (root / 'link.txt').symlink_to(tmp_path / 'outside.txt')
    (tmp_path / 'linked').symlink_to(root)
    assert index_file(root, 'alias.txt') == root / 'alias.txt'
    assert index_file(tmp_path / 'linked', 'inside.txt').read_text() == '1'
    with pytest.raises(DatasetError, match=r'link\.txt: leads out of the data root'):
        index_file(root, 'link.txt')


def test_a_malformed_line_is_named(tmp_path):
    file = tmp_path / 'index.txt'
    file.write_text('1\n-20\nx\n')
    with pytest.raises(DatasetError, match=r"index.txt:3: 'x' is not an integer"):
        parse_lines(file, parse_integer)
    file.write_text('1\n-20\n')
    assert parse_lines(file, parse_integer) == [1, -20]


@pytest.mark.parametrize('text', ['', '-', '+1', '1.0', '1_0', '\u0661', '1' * 19])
def test_not_an_integer(text):
    with pytest.raises(ValueError, match='is not an integer'):
        parse_integer(text)
