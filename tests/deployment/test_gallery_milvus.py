import base64
from concurrent import futures
from contextlib import contextmanager
from datetime import datetime

import numpy as np
import pytest
from galleries import SIZE, entry, feature, fill, made_up_bundle, names
from milvus_servers import milvus_lite_server

from dscreid.deployment import open_gallery
from dscreid.deployment.gallery_conditions import END, All, Compared, Either, Not, OneOf, Zoned
from dscreid.deployment.gallery_milvus import MOST_ANSWERS, MilvusStorage
from dscreid.deployment.gallery_milvus_rows import as_milvus, expression, of_milvus
from dscreid.errors import ConfigError, GalleryError


@pytest.fixture
def gallery(milvus_server, request):
    """Tracklets t0 to t29 on a server."""
    made = open_gallery(f'{milvus_server}/{request.node.name}', made_up_bundle(), create=True)
    assert fill(made, range(30)) == 30
    return made


@contextmanager
def server_that_wants(token):
    """A server that refuses every other token, and can do nothing else; yields its address."""
    grpc = pytest.importorskip('grpc')
    right = base64.b64encode(token.encode()).decode()

    class Handler(grpc.GenericRpcHandler):
        def service(self, call):
            refused = right not in dict(call.invocation_metadata).get('authorization', '')
            code = grpc.StatusCode.UNAUTHENTICATED if refused else grpc.StatusCode.UNIMPLEMENTED
            return grpc.unary_unary_rpc_method_handler(lambda _, context: context.abort(code, 'auth\ncheck failure'))

    server = grpc.server(futures.ThreadPoolExecutor(2), handlers=[Handler()])
    port = server.add_insecure_port('127.0.0.1:0')
    server.start()
    try:
        yield f'http://127.0.0.1:{port}/mine'
    finally:
        server.stop(None)


def test_a_wrong_token_is_one_sentence(monkeypatch):
    pytest.importorskip('pymilvus')
    with server_that_wants('root:right') as place:
        for token in ('root:wrong', ''):
            monkeypatch.setenv('MILVUS_TOKEN', token)
            with pytest.raises(GalleryError) as caught:
                open_gallery(place)
            reason = 'the server refuses the token; set the variable MILVUS_TOKEN to USER:PASSWORD, or to an API key'
            assert str(caught.value) == f'{place}: {reason}'
        monkeypatch.setenv('MILVUS_TOKEN', 'root:right')
        with pytest.raises(GalleryError, match='cannot do this') as caught:
            open_gallery(place)
        assert 'token' not in str(caught.value)
        assert '\n' not in str(caught.value)


def test_a_server_that_is_away_is_one_sentence(tmp_path, capfd):
    with milvus_lite_server(tmp_path / 'data') as address:
        gallery = open_gallery(f'{address}/mine', made_up_bundle(), create=True)
        fill(gallery, range(3))
    for action in (gallery.query, lambda: open_gallery(f'{address}/other'), lambda: fill(gallery, range(9))):
        with pytest.raises(GalleryError, match=rf'{address}/\w+: the server cannot be reached; start it, or check'):
            action()
    assert 'Traceback' not in ''.join(capfd.readouterr())


def test_a_collection_of_something_else(milvus_server, gallery):
    gallery.storage._client.create_collection('other', dimension=3)
    with pytest.raises(GalleryError, match=r'/other: is not a gallery but another collection; choose another name'):
        open_gallery(f'{milvus_server}/other', made_up_bundle(), create=True)


@pytest.mark.parametrize('name', ['1st', 'a-b', 'a/b', 'a' * 256, 'ü'])
def test_names_that_milvus_does_not_allow(milvus_server, name):
    with pytest.raises(ConfigError, match='cannot be the name of a gallery on a Milvus server; use letters, digits'):
        open_gallery(f'{milvus_server}/{name}', made_up_bundle(), create=True)


def test_whoever_opens_a_gallery_finishes_what_its_maker_did_not(milvus_server, gallery):
    client, name = gallery.storage._client, gallery.name
    client.release_collection(name)
    with pytest.raises(GalleryError, match='if an index is being made, wait until it is ready'):
        gallery.search(feature(0)[None])
    client.drop_index(name, 'feature')
    again = open_gallery(gallery.place, made_up_bundle())
    assert again.search(feature(3)[None], top=1)[0][0].entry == entry(3)
    assert again.storage.indexed() is None


def test_two_that_make_a_gallery_at_once(gallery):
    gallery.storage._create(gallery.about)
    assert len(gallery) == 30
    gallery.storage.name = 'not_made_by_anybody'
    with pytest.raises(GalleryError, match='cannot do this'):
        gallery.storage._create({**gallery.about, 'size': -1})


def test_texts_and_thumbnails_that_are_too_long(gallery):
    large = entry(40, thumbnail=bytes(49_149))
    assert gallery.add([large], feature(40)[None]) == 1
    assert gallery.find('t40')[0] == large
    with pytest.raises(GalleryError, match="'t41': thumbnail has 65,536 bytes as base64, but Milvus stores at most"):
        gallery.add([entry(42), entry(41, thumbnail=bytes(49_152))], np.stack([feature(42), feature(41)]))
    with pytest.raises(GalleryError, match='camera has 4,098 bytes, but Milvus stores at most 4,096; make it shorter'):
        gallery.add([entry(41, camera='ü' * 2_049)], feature(41)[None])
    assert len(gallery) == 31


def test_only_so_many_answers(gallery):
    with pytest.raises(GalleryError, match='Milvus finds at most 16,384 tracklets; ask for fewer'):
        gallery.search(feature(0)[None], top=MOST_ANSWERS + 1)
    assert len(gallery.search(feature(0)[None], top=MOST_ANSWERS)[0]) == 30


def test_the_size_is_unknown(gallery):
    assert gallery.statistics().num_bytes is None


def test_a_search_in_few_parts_of_the_index_finds_less(milvus_server):
    gallery = open_gallery(f'{milvus_server}/indexed', made_up_bundle(), create=True)
    fill(gallery, range(1_100))
    queries = np.stack([feature(number) for number in range(2_000, 2_010)])

    def found(**options):
        return [names(hit.entry for hit in hits) for hits in gallery.search(queries, top=50, **options)]

    exact = found()
    gallery.compact(index=True)
    assert found() == found(probes=100_000) == exact
    few = found(probes=2)
    common = sum(len({*one} & {*other}) for one, other in zip(few, exact, strict=True))
    assert 0 < common < 10 * 50


@pytest.mark.slow
def test_the_index_is_kept_until_the_gallery_has_grown_fourfold(milvus_server):
    gallery = open_gallery(f'{milvus_server}/grown', made_up_bundle(), create=True)
    fill(gallery, range(1_000))
    gallery.compact(index=True)
    parts = gallery.storage._index()[0]
    assert parts == round(4 * 1_000**0.5)
    for count, kept in ((3_900, True), (4_100, False)):
        fill(gallery, range(count))
        gallery.compact()
        assert (gallery.storage._index()[0] == parts) == kept


def test_a_file_of_milvus_lite(tmp_path):
    pytest.importorskip('pymilvus')
    manager = pytest.importorskip('milvus_lite.server_manager').server_manager_instance
    place = str(tmp_path / 'g.db')
    try:
        gallery = open_gallery(place, made_up_bundle(), create=True)
        fill(gallery, range(3))
        assert names(open_gallery(place).query()) == ['t0', 't1', 't2']
        assert (gallery.place, gallery.name) == (place, 'tracklets')
    finally:
        manager.release_server(place)


def test_without_pymilvus(monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'pymilvus', None)
    with pytest.raises(ConfigError, match=r'needs pymilvus; pip install "dscreid\[milvus\]"'):
        MilvusStorage('http://127.0.0.1:1', 'mine')


def test_conditions_in_the_language_of_milvus():
    time = datetime(1970, 1, 1, 0, 0, 1)
    assert expression(None) == ''
    assert expression(OneOf('camera', ('a"\\\n', 'b'))) == 'camera in ["a\\"\\\\\\n", "b"]'
    assert expression(OneOf('tracklet', ('gate/a"',))) == 'tracklet in ["gate/a%22"]'
    assert expression(Compared(('added',), '<', time)) == '(added < 1000000)'
    assert expression(Compared(END, '>=', time)) == (
        '(end_time >= 1000000) or (end_time is null and start_time >= 1000000)'
    )
    zones = Either((Zoned(True), Zoned(None)))
    assert expression(All((Not(zones), Zoned(False)))) == (
        '(not ((zoned == true) or (zoned is null))) and (zoned == false)'
    )


def test_rows_come_back_as_they_were():
    one = entry(3, tracklet='gate/ü"', end_time=None, start_time=datetime(1969, 5, 4, 3, 2, 1, 123456))
    row = as_milvus(one, np.zeros(SIZE, np.float32))
    assert row['tracklet'].isascii()
    assert row['start_time'] < 0
    found = of_milvus(row, ('tracklet', 'start_time', 'end_time', 'zoned', 'thumbnail', 'added'))
    times = {'start_time': one.start_time, 'end_time': None, 'zoned': False}
    assert {**found, 'added': 0} == {'tracklet': one.tracklet, 'thumbnail': one.thumbnail, 'added': 0, **times}
    assert isinstance(found['added'], datetime)
