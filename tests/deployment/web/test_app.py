import json
import re
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from galleries import entry, feature, made_up_bundle

pytest.importorskip('lancedb')
pytest.importorskip('fastapi')

from fastapi.testclient import TestClient
from web_pictures import Colors, jpeg

from dscreid.deployment import open_gallery
from dscreid.deployment.marks import append_mark, labeled_pairs, marks_file, read_marks
from dscreid.deployment.web import app as app_module
from dscreid.deployment.web import service as service_module
from dscreid.deployment.web.app import make_app
from dscreid.deployment.web.guard import check_access, is_loopback
from dscreid.errors import ConfigError

TOKEN = 'a-token-for-these-tests-only'
CALIBRATION = {
    'thresholds': [{'pair': pair, 'rate': 0.01, 'threshold': 0.97} for pair in ('rgb-rgb', 'rgb-ir', 'ir-ir')]
}
API = ['/api/about', '/api/tracklets', '/api/moving-picture?tracklet=red']


def local(app):
    return TestClient(app, base_url='http://127.0.0.1:8000')


@pytest.fixture
def client(gallery, inferencer):
    """Without a token, on this machine."""
    return local(make_app(gallery, inferencer))


@pytest.fixture
def guarded(gallery, inferencer):
    """With a token, at any address."""
    return TestClient(make_app(gallery, inferencer, TOKEN), base_url='https://search.example')


def found(client, **form):
    answer = client.post('/api/search', data=form)
    assert answer.status_code == 200, answer.text
    return answer.json()


def names(answer):
    return [hit['tracklet'] for hit in answer['hits']]


def picture_of(answer):
    assert answer.status_code == 200
    assert answer.headers['content-type'] == 'image/jpeg'
    return cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


# the page


def test_the_page_needs_nothing_else_and_runs_no_foreign_script(client):
    answer = client.get('/')
    assert answer.status_code == 200
    assert not re.findall(r'(?:src|href)=["\'](?!data:)', answer.text)
    assert not re.findall(r'https?://(?!www\.w3\.org)', answer.text)
    assert not re.findall(r'\son\w+=|javascript:|\sstyle=|innerHTML|eval\(', answer.text)
    policy = dict(part.strip().split(' ', 1) for part in answer.headers['content-security-policy'].split(';'))
    assert policy['default-src'] == "'none'"
    assert re.fullmatch(r"'sha256-[\w+/]{43}='", policy['script-src'])
    assert re.fullmatch(r"'sha256-[\w+/]{43}='", policy['style-src'])
    assert policy['frame-ancestors'] == "'none'"


@pytest.mark.parametrize('path', ['/', '/api/about', '/nothing', '/api/moving-picture?tracklet=gone'])
def test_every_answer_has_the_headers(client, path):
    headers = client.get(path).headers
    assert headers['x-content-type-options'] == 'nosniff'
    assert headers['x-frame-options'] == 'DENY'
    assert headers['referrer-policy'] == 'no-referrer'
    assert headers['cache-control'] == 'no-store'
    assert "default-src 'none'" in headers['content-security-policy']


def test_about(client):
    about = client.get('/api/about').json()
    assert about['count'] == 4
    assert about['cameras'] == ['c0', 'c1', 'c2']
    assert about['rates'] == []
    assert not about['token']


# tracklets


def test_listing(client, colors):
    answer = client.get('/api/tracklets').json()
    assert answer['count'] == 4
    assert [one['tracklet'] for one in answer['tracklets']] == list(colors)
    assert answer['tracklets'][1] == {
        'tracklet': 'dark red',
        'camera': 'c1',
        'modality': 'ir',
        'time': '2026-03-01 01:00:00 to 2026-03-01 01:30:00',
    }


@pytest.mark.parametrize(
    ('conditions', 'expected'),
    [
        ({'text': 'RED'}, ['red', 'dark red']),
        ({'camera': ['c1', 'c2']}, ['dark red', 'green']),
        ({'modality': 'ir'}, ['dark red', 'blue/ü']),
        ({'from': '2026-03-01T01:45'}, ['green', 'blue/ü']),
        ({'to': '2026-03-01T01:45:00', 'modality': 'rgb'}, ['red']),
        ({'start': '3'}, ['blue/ü']),
        ({'text': "'; DROP TABLE"}, []),
        ({'camera': "c1' OR '1'='1"}, []),
    ],
)
def test_conditions(client, conditions, expected):
    answer = client.get('/api/tracklets', params=conditions).json()
    assert [one['tracklet'] for one in answer['tracklets']] == expected


@pytest.mark.parametrize(
    'conditions',
    [
        {'modality': 'x'},
        {'from': 'soon'},
        {'from': '2026-03-02', 'to': '2026-03-01'},
        {'start': '-1'},
        {'start': '1e9'},
    ],
)
def test_conditions_that_make_no_sense_are_one_sentence(client, conditions):
    answer = client.get('/api/tracklets', params=conditions)
    assert answer.status_code == 400
    assert len(answer.json()['error']) > 10


# moving pictures


def test_frames_side_by_side(client, colors):
    image = picture_of(client.get('/api/moving-picture', params={'tracklet': 'green'}))
    assert image.shape == (256, 3 * 128, 3)
    assert np.abs(image.astype(int) - colors['green']).mean() < 8


def test_the_thumbnail_if_the_pictures_are_gone(client, colors):
    image = picture_of(client.get('/api/moving-picture', params={'tracklet': 'blue/ü'}))
    assert image.shape == (256, 128, 3)
    assert np.abs(image.astype(int) - colors['blue/ü']).mean() < 8


def test_no_picture_without_both(client, tmp_path):
    for path in (tmp_path / 'tracklets' / '2').iterdir():
        path.write_bytes(b'damaged')
    answer = client.get('/api/moving-picture', params={'tracklet': 'green'})
    assert answer.status_code == 404
    assert answer.json() == {'error': 'There is no picture of this tracklet.'}


def test_a_damaged_frame_is_left_out(client, tmp_path):
    (tmp_path / 'tracklets' / '2' / '1.jpg').write_bytes(b'damaged')
    assert picture_of(client.get('/api/moving-picture', params={'tracklet': 'green'})).shape == (256, 2 * 128, 3)


def test_pictures_that_lead_out_of_the_folder_are_not_shown(client, tmp_path):
    folder = tmp_path / 'tracklets' / '2'
    (tmp_path / 'secret.jpg').write_bytes(jpeg((255, 255, 255)))
    for path in folder.iterdir():
        path.unlink()
        path.symlink_to(tmp_path / 'secret.jpg')
    assert client.get('/api/moving-picture', params={'tracklet': 'green'}).status_code == 404
    (folder / '9.jpg').write_bytes(jpeg((10, 250, 10)))
    image = picture_of(client.get('/api/moving-picture', params={'tracklet': 'green'}))
    assert image.shape == (256, 128, 3)
    assert image[..., 0].mean() < 40


def test_a_folder_that_tracklets_share_is_not_shown(client, gallery, tmp_path, colors):
    shared = str(tmp_path / 'tracklets' / '0')
    others = [replace(entry(9), tracklet='other', folder=shared, thumbnail=None)]
    gallery.add(others, feature(9)[None])
    assert client.get('/api/moving-picture', params={'tracklet': 'other'}).status_code == 404
    image = picture_of(client.get('/api/moving-picture', params={'tracklet': 'red'}))
    assert image.shape == (256, 128, 3)  # its thumbnail


@pytest.mark.parametrize(
    'name',
    [
        '../secret',
        '/etc/passwd',
        '../../../../etc/passwd',
        'red/../../secret.jpg',
        '%2e%2e%2fsecret',
        'red\0',
        '',
        "'",
        '.',
    ],
)
def test_names_are_no_paths(client, tmp_path, name):
    (tmp_path / 'secret').mkdir()
    (tmp_path / 'secret' / '0.jpg').write_bytes(jpeg((255, 255, 255)))
    assert client.get('/api/moving-picture', params={'tracklet': name}).status_code == 404
    assert client.post('/api/search', data={'tracklet': name}).status_code == 400


@pytest.mark.parametrize(
    'path',
    ['/../page.html', '/%2e%2e/%2e%2e/etc/passwd', '/page.html', '/static/x', '//etc/passwd', '/docs', '/openapi.json'],
)
def test_no_other_paths_are_served(client, path):
    assert client.get(path).status_code == 404


# search


def test_a_tracklet_finds_others_but_not_itself(client):
    answer = found(client, tracklet='red')
    assert names(answer) == ['dark red', 'blue/ü', 'green'] or names(answer) == ['dark red', 'green', 'blue/ü']
    assert answer['modality'] == 'rgb'
    assert answer['nothing'] == ''
    assert answer['hits'][0] | {'similarity': ''} == {
        'tracklet': 'dark red',
        'camera': 'c1',
        'modality': 'ir',
        'time': '2026-03-01 01:00:00 to 2026-03-01 01:30:00',
        'similarity': '',
        'rate': '-',
        'mark': None,
    }


def test_conditions_and_the_number_of_answers(client):
    assert names(found(client, tracklet='red', modality='rgb')) == ['green']
    assert names(found(client, tracklet='red', camera=['c1', 'c2'], top='1')) == ['dark red']
    assert names(found(client, tracklet='red', **{'from': '2026-03-01T02:45'})) == ['blue/ü']


def test_no_match_is_an_answer(client):
    answer = found(client, tracklet='green', threshold='similarity=0.99')
    assert answer['hits'] == []
    assert answer['nothing'] == 'no match: no tracklet has a similarity above 0.99'
    assert found(client, tracklet='red', camera='gone')['nothing'] == 'no match: no tracklet meets the conditions'


def test_rates_of_a_calibrated_bundle(gallery):
    client = local(make_app(gallery, Colors(made_up_bundle(calibration=CALIBRATION))))
    assert client.get('/api/about').json()['rates'] == [0.01]
    answer = found(client, tracklet='red', threshold='0.01')
    assert names(answer) == ['dark red']
    assert answer['hits'][0]['rate'] == '0.01'


@pytest.mark.parametrize(
    'form', [{'top': '0'}, {'top': '201'}, {'threshold': 'high'}, {'threshold': '0.5'}, {'modality': '1'}]
)
def test_searches_that_make_no_sense_are_one_sentence(client, form):
    answer = client.post('/api/search', data={'tracklet': 'red', **form})
    assert answer.status_code == 400
    assert len(answer.json()['error']) > 10


def test_pictures_as_a_query(client, inferencer, colors):
    files = [('files', ('../../x', jpeg(colors['red'], size))) for size in ((64, 32), (100, 60))]
    answer = client.post('/api/search', data={'query_modality': 'ir', 'top': '2'}, files=files).json()
    assert names(answer) == ['red', 'dark red']
    assert answer['modality'] == 'ir'
    assert re.fullmatch('upload-[0-9a-f]{16}', answer['query'])
    assert answer['picture'].startswith('data:image/jpeg;base64,')
    ((frames,), modalities) = inferencer.asked[0]
    assert [frame.shape for frame in frames] == [(64, 32, 3), (100, 60, 3)]
    assert modalities == ['ir']


def test_a_box_is_cut_out(client, inferencer, colors):
    image = np.full((100, 100, 3), colors['green'], np.uint8)
    image[:50, :50] = colors['red']
    files = {'files': ('x', cv2.imencode('.png', image[..., ::-1])[1].tobytes())}
    assert names(client.post('/api/search', data={'box': '0,0,0.5,0.5'}, files=files).json())[0] == 'red'
    assert client.post('/api/search', data={'box': '0,0'}, files=files).status_code == 400


@pytest.mark.parametrize(
    'content', [b'GIF89a' + bytes(100), b'<script>alert(1)</script>', b'\xff\xd8\xff' + bytes(500)]
)
def test_fake_uploads(client, content):
    answer = client.post('/api/search', files={'files': ('photo.jpg', content, 'image/jpeg')})
    assert answer.status_code == 400
    assert answer.json()['error'].startswith('file 1: ')


def test_too_many_files(client, colors):
    files = [('files', ('x', jpeg(colors['red'])))] * 33
    answer = client.post('/api/search', files=files)
    assert answer.status_code == 400
    assert 'error' in answer.json()


def small_limit(gallery, inferencer, monkeypatch):
    monkeypatch.setattr(app_module, 'MAX_BYTES', 2_000_000)
    return local(make_app(gallery, inferencer))


def test_large_uploads_are_refused(gallery, inferencer, monkeypatch):
    client = small_limit(gallery, inferencer, monkeypatch)
    answer = client.post('/api/search', files={'files': ('x', bytes(2_000_000))})
    assert answer.status_code == 413
    assert answer.json() == {'error': 'More than 2 MB are not accepted; choose fewer or smaller files.'}


def test_large_uploads_that_hide_their_length_are_refused(gallery, inferencer, monkeypatch):
    client = small_limit(gallery, inferencer, monkeypatch)
    sent = []

    def body():
        yield b'--x\r\nContent-Disposition: form-data; name="files"; filename="x"\r\n\r\n'
        for _ in range(100):
            sent.append(1)
            yield bytes(100_000)
        yield b'\r\n--x--\r\n'

    answer = client.post('/api/search', content=body(), headers={'content-type': 'multipart/form-data; boundary=x'})
    assert answer.status_code == 413
    assert inferencer.asked == []


@pytest.mark.parametrize('content', [b'', b'--x\r\nbroken', b'--x\r\n\r\n\r\n--x--'])
def test_broken_forms(client, content):
    headers = {'content-type': 'multipart/form-data; boundary=x'}
    answer = client.post('/api/search', content=content, headers=headers)
    assert answer.status_code == 400
    assert answer.json()['error']


# marks


def mark(client, **content):
    return client.post('/api/marks', json=content)


def test_marks_are_kept_shown_and_taken_back(client, gallery, inferencer):
    assert mark(client, query='red', tracklet='dark red', same=True).status_code == 204
    assert mark(client, query='red', tracklet='green', same=False).status_code == 204
    shown = {hit['tracklet']: hit['mark'] for hit in found(client, tracklet='red')['hits']}
    assert shown == {'dark red': True, 'green': False, 'blue/ü': None}
    assert {hit['tracklet']: hit['mark'] for hit in found(client, tracklet='green')['hits']}['red'] is False
    assert mark(client, query='red', tracklet='green', same=None).status_code == 204
    (pair,) = labeled_pairs(marks_file(gallery.place), inferencer.bundle.fingerprint)
    assert (pair.query, pair.tracklet, pair.same, pair.modalities) == ('red', 'dark red', True, 'rgb-ir')
    features = [gallery.find(name)[1] for name in ('red', 'dark red')]
    assert pair.similarity == pytest.approx(features[0] @ features[1], abs=1e-5)


def test_marks_can_be_kept_in_another_file(gallery, inferencer, tmp_path):
    client = local(make_app(gallery, inferencer, marks=tmp_path / 'other.jsonl'))
    assert mark(client, query='red', tracklet='dark red', same=True).status_code == 204
    (one,) = read_marks(tmp_path / 'other.jsonl')
    assert (one.query, one.tracklet) == ('red', 'dark red')
    assert not marks_file(gallery.place).exists()


def test_answers_to_an_upload_can_be_marked(client, gallery, colors):
    files = {'files': ('x', jpeg(colors['red']))}
    answer = client.post('/api/search', files=files).json()
    assert mark(client, query=answer['query'], tracklet='red', same=True).status_code == 204
    (one,) = read_marks(marks_file(gallery.place))
    assert (one.query, one.tracklet, one.same) == (answer['query'], 'red', True)
    assert f'{one.similarity:.3f}' == answer['hits'][0]['similarity']
    again = client.post('/api/search', files=files).json()
    assert again['query'] == answer['query']
    assert again['hits'][0]['mark'] is True


@pytest.mark.parametrize(
    'content',
    [
        {'query': 'upload-0123456789abcdef', 'tracklet': 'red', 'same': True},
        {'query': 'gone', 'tracklet': 'red', 'same': True},
        {'query': 'red', 'tracklet': 'gone', 'same': True},
        {'query': 'red', 'tracklet': 'red', 'same': True},
        {'query': 'red', 'tracklet': 'green', 'same': 1},
        {'query': 'red', 'tracklet': ['green'], 'same': True},
        {'query': 'red', 'same': True},
        {'query': 'x' * 20_000, 'tracklet': 'red', 'same': True},
    ],
)
def test_marks_of_nothing_are_not_kept(client, gallery, content):
    answer = mark(client, **content)
    assert answer.status_code in (400, 422)
    assert answer.json()['error']
    assert read_marks(marks_file(gallery.place)) == []


@pytest.mark.parametrize('content', ['[]', 'null', '{', '"x"', ''])
def test_marks_that_are_no_objects(client, content):
    assert client.post('/api/marks', content=content).status_code == 422


# who may ask


def test_without_the_token_only_the_page_is_given(guarded):
    assert guarded.get('/').status_code == 200
    for path in API:
        answer = guarded.get(path)
        assert answer.status_code == 401
        assert answer.json() == {'error': 'Give the token first.'}
    assert guarded.post('/api/search', data={'tracklet': 'red'}).status_code == 401
    assert mark(guarded, query='red', tracklet='green', same=True).status_code == 401


@pytest.mark.parametrize(
    'header',
    [
        'Bearer', 'Bearer ', 'Bearer wrong', f'Bearer {TOKEN[:-1]}', f'Bearer {TOKEN}x', f'Basic {TOKEN}', TOKEN,
        'Bearer \xfc', f'Bearer {TOKEN} x',
    ],
)  # fmt: skip
def test_wrong_tokens(guarded, header):
    assert guarded.get('/api/about', headers={'Authorization': header.encode('latin-1')}).status_code == 401


@pytest.mark.parametrize('kind', ['Bearer', 'bearer', 'BEARER'])
def test_the_token_as_a_header(guarded, kind):
    assert guarded.get('/api/about', headers={'Authorization': f'{kind} {TOKEN}'}).json()['token'] is True


@pytest.mark.parametrize('cookie', ['', 'x', TOKEN, '"', 'ü', '0' * 64])
def test_wrong_cookies(guarded, cookie):
    header = f'dscreid_session={cookie}'.encode()
    assert guarded.get('/api/about', headers={'Cookie': header}).status_code == 401


def test_logging_in_and_out(guarded):
    for wrong in ('', 'wrong', None, 3, TOKEN + 'x'):
        assert guarded.post('/api/login', json={'token': wrong}).status_code == 401
    answer = guarded.post('/api/login', json={'token': TOKEN})
    assert answer.status_code == 204
    cookie = answer.headers['set-cookie']
    assert TOKEN not in cookie
    assert {'HttpOnly', 'SameSite=strict', 'Secure'} <= set(cookie.split('; '))
    for path in API:
        assert guarded.get(path).status_code == 200
    assert guarded.post('/api/logout').status_code == 204
    assert guarded.get('/api/about').status_code == 401


def test_a_cookie_ends_with_the_server(guarded, gallery, inferencer):
    guarded.post('/api/login', json={'token': TOKEN})
    other = TestClient(make_app(gallery, inferencer, TOKEN), base_url='https://search.example', cookies=guarded.cookies)
    assert guarded.get('/api/about').status_code == 200
    assert other.get('/api/about').status_code == 401


@pytest.mark.parametrize('host', ['search.example', '192.168.0.2:8000', 'localhost.example', '127.0.0.1.example', ''])
def test_without_a_token_other_names_of_this_machine_are_refused(client, host):
    assert client.get('/api/about', headers={'Host': host}).status_code == 421


@pytest.mark.parametrize('host', ['localhost', 'localhost:8000', '127.0.0.1', '[::1]:8000', '127.1.2.3:80'])
def test_addresses_of_this_machine(client, host):
    assert client.get('/api/about', headers={'Host': host}).status_code == 200


@pytest.mark.parametrize('origin', ['https://evil.example', 'null', 'http://127.0.0.1:9000'])
def test_other_sites_cannot_ask_through_the_browser(client, gallery, origin):
    answer = client.post(
        '/api/marks', json={'query': 'red', 'tracklet': 'green', 'same': True}, headers={'Origin': origin}
    )
    assert answer.status_code == 403
    assert read_marks(marks_file(gallery.place)) == []


def test_the_page_itself_can_ask(client):
    headers = {'Origin': 'http://127.0.0.1:8000'}
    assert client.post('/api/search', data={'tracklet': 'red'}, headers=headers).status_code == 200


def test_only_good_tokens_open_a_server_to_others():
    for host in ('127.0.0.1', 'localhost', '::1'):
        check_access(host, None)
    for host in ('0.0.0.0', '::', '192.168.0.2', 'search.example', ''):
        assert not is_loopback(host)
        with pytest.raises(ConfigError, match='so a token is needed'):
            check_access(host, None)
        check_access(host, TOKEN)
    for token in ('short', 'ü' * 20, 'new line' * 3 + '\n', ''):
        with pytest.raises(ConfigError, match='at least 16 printable ASCII characters'):
            check_access('127.0.0.1', token)


def test_nothing_secret_is_logged(guarded, caplog, capfd):
    caplog.set_level(0)
    guarded.post('/api/login', json={'token': TOKEN + 'x'})
    guarded.post('/api/login', json={'token': TOKEN})
    guarded.get('/api/about', headers={'Authorization': f'Bearer {TOKEN}'})
    printed = capfd.readouterr()
    session = guarded.cookies['dscreid_session']
    for text in (caplog.text, printed.out, printed.err):
        assert TOKEN not in text
        assert session not in text


def test_a_removed_tracklet_is_gone_at_once(client, gallery):
    open_gallery(gallery.place).remove(['dark red'])
    assert 'dark red' not in names(found(client, tracklet='red'))
    assert client.get('/api/moving-picture', params={'tracklet': 'dark red'}).status_code == 404
    assert client.get('/api/about').json()['count'] == 3
    assert json.loads(client.post('/api/search', data={'tracklet': 'dark red'}).text)['error'].startswith(
        'this tracklet is no longer in the gallery'
    )


def test_the_marks_lie_next_to_the_gallery(client, gallery):
    mark(client, query='red', tracklet='green', same=False)
    assert marks_file(gallery.place) == Path(f'{gallery.place}.marks.jsonl')
    assert marks_file(gallery.place).is_file()


def test_a_mark_of_a_tracklet_that_is_removed_meanwhile_is_erased(client, gallery, monkeypatch):
    def append_then_remove(path, one):
        append_mark(path, one)
        open_gallery(gallery.place).remove(['green'])

    monkeypatch.setattr(service_module, 'append_mark', append_then_remove)
    mark(client, query='red', tracklet='green', same=False)
    assert read_marks(marks_file(gallery.place)) == []
