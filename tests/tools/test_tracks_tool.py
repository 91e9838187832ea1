import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from dscreid.datasets.tracklet_table import read_table

TOOL = Path(__file__).parents[2] / 'tools/dataset_converters/tracks.py'


@pytest.fixture(scope='module')
def tool(load_tool):
    return load_tool('dataset_converters/tracks.py')


@pytest.fixture
def sources(tmp_path):
    """Two folders of frames, one with MOT results, one with another CSV file."""
    for name in ('gate', 'yard'):
        (tmp_path / name).mkdir()
        for number in range(10):
            cv2.imwrite(str(tmp_path / name / f'{number}.png'), np.full((120, 160, 3), 20 * number, np.uint8))
    (tmp_path / 'gate.txt').write_text('\n'.join(f'{k + 1},1,20,10,40,90,0.9,-1,-1,-1' for k in range(10)))
    rows = [f'{k},5,20,10,60,100' for k in range(10)]
    (tmp_path / 'yard.csv').write_text('\n'.join(['t,who,x1,y1,x2,y2', *rows]))
    lines = ['video,tracks,camera,modality,fps,format', 'gate,gate.txt,gate,rgb,4,mot', 'yard,yard.csv,yard,ir,4,']
    (tmp_path / 'sources.csv').write_text('\n'.join(lines))
    return tmp_path / 'sources.csv'


COLUMNS = ['--columns', 'frame=t', 'id=who', 'left=x1', 'top=y1', 'right=x2', 'bottom=y2']


def test_sources_become_a_data_set(tool, sources, tmp_path, capsys):
    tool.main([str(sources), str(tmp_path / 'out'), *COLUMNS, '--min-crops', '3', '--rate', '2'])
    printed = capsys.readouterr().out
    assert 'gate_rgb/gate: 10 frames, 10 boxes -> 5 crops in 1 tracklets' in printed
    assert '5 more than the rate' in printed
    last = printed.splitlines()[-1]
    assert last.startswith(f'{tmp_path}/out: 10 crops in 2 tracklets (1 rgb, 1 ir) of 2 cameras; look at ')
    assert [row.folder for row in read_table(tmp_path / 'out/tracklets.csv')] == [
        'gate_rgb/gate_00001',
        'yard_ir/yard_00005',
    ]
    assert (tmp_path / 'out/contact_sheet.jpg').is_file()


def test_a_conversion_without_a_tracklet_says_what_to_do(tool, sources, tmp_path, capsys):
    tool.main([str(sources), str(tmp_path / 'out'), *COLUMNS, '--min-height', '500'])
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.endswith('0 cameras; loosen the rules that left the boxes out, in a new folder')
    assert not (tmp_path / 'out/contact_sheet.jpg').exists()


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ([], 'unknown columns t, who, x1, y1, x2, y2; name frame, id and box with --columns'),
        (['--columns', 'frame'], "--columns: 'frame' is not NAME=COLUMN"),
        ([*COLUMNS, '--min-visible', '2'], 'min_visible=2.0 is out of range'),
        ([*COLUMNS, '--first-frame', '1'], 'frame 0 is before the first one, 1'),
    ],
)
def test_mistakes_are_one_sentence(tool, sources, tmp_path, capsys, options, message):
    with pytest.raises(SystemExit) as end:
        tool.main([str(sources), str(tmp_path / 'out'), *options])
    assert end.value.code == 2
    error = capsys.readouterr().err.strip()
    assert message in error
    assert error.startswith('error: ')
    assert '\n' not in error


@pytest.mark.slow
def test_a_killed_conversion_continues(sources, tmp_path):
    command = [sys.executable, TOOL, sources, tmp_path / 'out', *COLUMNS]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    while process.poll() is None and not list(tmp_path.glob('out/*_*/*/*.jpg')):
        pass
    process.kill()
    process.wait()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    assert len(read_table(tmp_path / 'out/tracklets.csv')) == 2
    assert len(list(tmp_path.glob('out/*_*/*/*.jpg'))) == 20
    assert not (tmp_path / 'out/.unfinished').exists()
