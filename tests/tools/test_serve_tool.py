"""The command serve, as a process."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from galleries import made_up_bundle
from own_cameras import make_tracklet_folder

from dscreid.datasets.tracklet_table import read_table, write_table
from dscreid.deployment import TrackletInferencer, add_folder, make_bundle, open_folder, open_gallery
from dscreid.errors import GalleryError

pytest.importorskip('lancedb')
pytest.importorskip('fastapi')

TOOL = Path(__file__).parents[2] / 'tools' / 'serve.py'
TOKEN = 'a-token-for-these-tests-only'


@pytest.fixture(scope='module')
def served(tiny_runs, tiny_experiment, tmp_path_factory):
    """Arguments of a gallery of six tracklets and its bundle."""
    folder = tmp_path_factory.mktemp('served')
    notes = dict(license='for tests only', training_data='rendered worlds')
    inferencer = TrackletInferencer(make_bundle(tiny_runs.adapt, tiny_experiment.checkpoint, folder / 'b', **notes))
    root = make_tracklet_folder(tiny_runs.hitsz, folder / 'own', persons=False)
    write_table(root / 'tracklets.csv', read_table(root / 'tracklets.csv')[:6])
    add_folder(open_gallery(folder / 'g', inferencer.bundle, create=True), open_folder(root), inferencer)
    return ['--gallery', str(folder / 'g'), '--bundle', str(folder / 'b')], root


def free_port():
    with socket.create_server(('127.0.0.1', 0)) as found:
        return found.getsockname()[1]


def get(url, data=None, **headers):
    with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=60) as answer:
        return answer.read()


@pytest.mark.slow
def test_from_the_command_to_answers(served):
    arguments, root = served
    port = free_port()
    environment = os.environ | {'DSCREID_TOKEN': TOKEN}
    process = subprocess.Popen(
        [sys.executable, str(TOOL), *arguments, '--port', str(port)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    try:
        url = next(line for line in process.stdout if 'http://' in line).split(' at ')[1].split(' ')[0]
        assert url == f'http://127.0.0.1:{port}'
        assert b'<title>Search' in get(url)
        known = {'Authorization': f'Bearer {TOKEN}'}
        assert json.loads(get(f'{url}/api/about', **known))['count'] == 6
        row = read_table(root / 'tracklets.csv')[0]
        picture = (root / row.frames[0]).read_bytes()
        body = b'--x\r\nContent-Disposition: form-data; name="files"; filename="x"\r\n\r\n' + picture + b'\r\n--x--\r\n'
        kind = {'Content-Type': 'multipart/form-data; boundary=x'}
        answer = json.loads(get(f'{url}/api/search', body, **kind, **known))
        assert len(answer['hits']) == 6
    finally:
        process.send_signal(signal.SIGINT)
        output = ''.join(process.communicate(timeout=60))
    assert process.returncode == 128 + signal.SIGINT
    assert TOKEN not in output
    assert output.splitlines()[-1] == 'interrupted: the server has stopped; marks are kept'


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--host', '0.0.0.0'], '0.0.0.0 can be reached by others, so a token is needed'),
        (['--token', 'short'], 'a token needs at least 16 printable ASCII characters'),
        (['--gallery', 'absent'], 'absent: is not a gallery; create one with dscreid gallery add'),
        (['--bundle', 'absent'], 'absent: contains no bundle.json'),
        (['--port', '0'], 'must lie between 1 and 65535, got 0'),
    ],
)
def test_what_cannot_be_served_is_one_sentence(load_tool, served, options, message, capsys):
    with pytest.raises(SystemExit) as stop:
        load_tool('serve.py').main([*served[0], *options])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_a_port_in_use_and_another_model(load_tool, served, capsys, tmp_path):
    tool = load_tool('serve.py')
    with socket.create_server(('127.0.0.1', 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SystemExit) as stop:
            tool.main([*served[0], '--port', str(port)])
    assert stop.value.code == 2
    assert f'cannot listen on 127.0.0.1, port {port} (Address already in use)' in capsys.readouterr().err
    open_gallery(tmp_path / 'other', made_up_bundle(), create=True)
    with pytest.raises(GalleryError, match="holds features of the model 'made up'"):
        tool.serve(tool.parse_args([*served[0], '--gallery', str(tmp_path / 'other')]))
