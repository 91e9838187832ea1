from pathlib import Path

import pytest

from dscreid.deployment.gallery_places import address_of
from dscreid.deployment.marks import marks_file
from dscreid.errors import ConfigError


@pytest.mark.parametrize(
    ('place', 'address'),
    [
        ('http://127.0.0.1:19530/mine', ('http://127.0.0.1:19530', 'mine')),
        ('https://milvus.example/mine/', ('https://milvus.example:19530', 'mine')),
        ('http://[::1]:1234/mine', ('http://[::1]:1234', 'mine')),
        ('galleries/mine', None),
        (Path('/galleries/mine'), None),
        ('http:/galleries', None),
    ],
)
def test_addresses(place, address):
    assert address_of(place) == address


@pytest.mark.parametrize(
    'place', ['http://host:19530', 'http://host:port/mine', 'ftp://host/mine', 'http:///mine', 'http://h/a?b', '://']
)
def test_malformed_addresses(place):
    with pytest.raises(ConfigError, match=r'is not an address .*write http://HOST:19530/NAME'):
        address_of(place)


def test_passwords_do_not_belong_in_an_address():
    with pytest.raises(ConfigError, match=r'other users can see .* set the variable MILVUS_TOKEN') as caught:
        address_of('http://root:secret@host:19530/mine')
    assert 'secret' not in str(caught.value)


def test_marks_of_a_gallery_on_a_server_are_in_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert marks_file('http://milvus.example:19530/mine') == tmp_path / 'milvus.example-19530-mine.marks.jsonl'
    assert marks_file('http://[::1]:19530/mine').parent == tmp_path
    assert marks_file('galleries/mine') == tmp_path / 'galleries/mine.marks.jsonl'
