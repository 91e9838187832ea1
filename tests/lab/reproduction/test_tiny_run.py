"""The driver with the real trainer on tiny worlds, and the tasks beside it."""

import io
import json
import shutil
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from tiny_runs import read_figures, write_tiny_configs

from dscreid.evaluation import load_features
from dscreid.lab.reproduction import presets, show_experiment
from dscreid.lab.reproduction.driver import ReproductionOptions, reproduce
from dscreid.lab.reproduction.presets import DataPreset, Place
from dscreid.lab.reproduction.tasks import main as do_task
from dscreid.lab.synthetic import WorldSpec, is_complete, make_spec

PRESET = DataPreset(
    'synthetic-demo', ('tiny_{method}.py',), {'bupt': 'TEST_BUPT_ROOT', 'hitsz': 'TEST_HITSZ_ROOT'}, 'demo'
)
_CD = """
_base_ = './tiny_dsc.py'
train_cfg = None
"""


@pytest.fixture
def place(tiny_runs, tmp_path, monkeypatch):
    """Tiny configs that find their worlds by the environment, and the worlds, rendered before."""
    worlds = [json.loads((root / 'world.json').read_text()) for root in (tiny_runs.bupt, tiny_runs.hitsz)]
    specs = tuple(WorldSpec(**world['spec']) for world in worlds)
    monkeypatch.setattr(presets, 'adaptation_worlds', lambda seed, direction, preset: specs)
    # the weights of an untrained model are as good as any
    write_tiny_configs(tmp_path / 'configs', '{{$TEST_BUPT_ROOT:none}}', '{{$TEST_HITSZ_ROOT:none}}')
    (tmp_path / 'configs' / 'tiny_cd.py').write_text(_CD)
    place = Place(tmp_path / 'out', PRESET, tmp_path / 'configs')
    for role, root in (('source', tiny_runs.bupt), ('target', tiny_runs.hitsz)):
        shutil.copytree(root, place.world_folders('bupt2hitsz', 1)[role])
    monkeypatch.setenv('OMP_NUM_THREADS', '1')
    return place


@pytest.mark.slow
def test_tables_and_pages_of_real_runs(place):
    options = ReproductionOptions('table3', place, rows=['dsc'], directions=('bupt2hitsz',))
    options = replace(options, stream=io.StringIO())
    phases = {name.rpartition('/')[2]: status for name, status in reproduce(options).items()}
    assert {name: (status.phase.value, status.note) for name, status in phases.items()} == dict.fromkeys(
        ['tiny_source', 'tiny_dsc'], ('finished', '')
    )
    group = place.group('bupt2hitsz', 1)
    card = json.loads((group / 'tiny_dsc' / 'run_card.json').read_text())
    assert card['metrics'] == read_figures(group / 'tiny_dsc')
    assert card['peak_memory_mib'] > 100
    # the stage was trained once, by its own job
    assert 'is trained first' not in (group / 'tiny_dsc' / 'reproduce.log').read_text()
    show = partial(show_experiment, place=place, directions=('bupt2hitsz',))
    assert '+ clustering + DSJL + DSLU' in show('table3', rows=['dsc'])[0]
    figure3 = show('figure3')[1][-1].read_text()
    assert figure3.count('data:image/jpeg;base64') > 10
    assert 'Not run yet: CD.' in figure3
    figure5 = show('figure5', rows=['DSC'])[1][-1]
    assert figure5.name == 'figure5_bupt2hitsz.html'
    assert figure5.read_text().count('data:image/svg+xml') == 1


def test_a_world_is_rendered_as_its_spec_says(tmp_path):
    spec = make_spec('tiny', 'hitsz', height=32, width=16, train_ids=2, test_ids=2, tracklets=1, test_tracklets=2)
    do_task('render', json.dumps(dict(root=str(tmp_path / 'world'), spec=spec.to_dict())))
    assert is_complete(tmp_path / 'world', spec)


def test_the_untrained_tower_is_tested_without_prompts(tiny_runs, tmp_path):
    config = tmp_path / 'cd.py'
    write_tiny_configs(tmp_path, tiny_runs.hitsz, tiny_runs.hitsz)
    source = (tmp_path / 'tiny_source.py').read_text()
    config.write_text(source.replace("type='BUPTCampus'", "type='HITSZVCM'").replace('bupt_campus', 'hitsz_vcm'))
    do_task('untrained', json.dumps(dict(config=str(config), work_dir=str(tmp_path / 'clip'))))
    table = load_features(tmp_path / 'clip' / 'features.safetensors')
    np.testing.assert_array_equal(table.static, table.dynamic)
    lengths = np.linalg.norm(table.static, axis=1, keepdims=True)
    np.testing.assert_allclose(table.feature, table.static / lengths, rtol=1e-5, atol=1e-7)
    assert 0 < json.loads((tmp_path / 'clip' / 'metrics.json').read_text())['mean/mAP'] <= 1
