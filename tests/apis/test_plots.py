"""Pictures of runs: ``dscreid.apis.report`` and ``tools/analysis``."""

import numpy as np
import pytest
import torch

from dscreid.apis import init_model, load_config
from dscreid.apis.command_line import run_command
from dscreid.apis.report import attended_tracklets, extract_rows
from dscreid.apis.tone_examples import tone_examples
from dscreid.errors import ConfigError
from dscreid.evaluation import FeatureTable, save_features
from dscreid.registry import DATASETS
from dscreid.structures import Modality, Tracklet
from dscreid.utils.checkpoint import load_weights
from dscreid.visualization import build_test_dataset, find_work_dirs

CONFIG = """
test_dataloader = dict(dataset=dict(type='FakeTestSet'))
test_evaluator = dict(type='ReIDMetric', protocol='hitsz_vcm')
"""


def table(noise):
    """Six persons with two visible and two infrared tracklets each, by two cameras."""
    pid, modality, camera = np.repeat(np.arange(6), 4), np.tile([0, 0, 1, 1], 6), np.tile([1, 2, 1, 2], 6)
    feature = np.eye(6, 8)[pid] + noise * np.random.default_rng(5).normal(size=(24, 8))
    return FeatureTable(feature.astype(np.float32), pid, camera, modality, modality == 1, np.arange(24))


@pytest.fixture
def runs(tmp_path, frame):
    tracklets = [
        Tracklet((frame,), Modality.RGB if row % 4 < 2 else Modality.IR, 1 + row % 2, row // 4, row % 4 > 1)
        for row in range(24)
    ]

    class FakeTestSet:
        def __init__(self, pipeline=()):
            self.root, self.tracklets = tmp_path, tracklets

    for name, noise in (('cd', 0.8), ('dsc', 0.05)):
        save_features(tmp_path / name / 'features.safetensors', table(noise))
        config = tmp_path / name / 'session' / 'vis_data' / 'config.py'
        config.parent.mkdir(parents=True)
        config.write_text(CONFIG)
    DATASETS.register_module(name='FakeTestSet', module=FakeTestSet, force=True)
    yield tmp_path
    DATASETS.module_dict.pop('FakeTestSet')


@pytest.fixture
def frame(tmp_path):
    import cv2

    cv2.imwrite(str(tmp_path / 'frame.png'), np.full((16, 8, 3), 90, np.uint8))
    return 'frame.png'


@pytest.fixture
def run_tool(load_tool, capsys):
    """Function that runs a tool and returns its exit code, output and errors."""

    def call(name, *arguments):
        code = 0
        try:
            run_command(lambda: load_tool(f'analysis/{name}.py').main([str(argument) for argument in arguments]))
        except SystemExit as stop:
            code = stop.code
        return code, *capsys.readouterr()

    return call


def test_feature_maps_of_named_work_directories(run_tool, runs):
    out = runs / 'maps' / 'map.svg'
    code, printed, _ = run_tool(
        'feature_map', f'before={runs}/cd', runs / 'dsc', '--out', out, '--persons', 4, '--note', 'by hand'
    )
    assert (code, printed) == (0, f'16 tracklets of 4 known persons\nwrote {out}\n')
    text = out.read_text()
    assert all(f'>{shown}</text>' in text for shown in ('before', 'dsc', 'by hand'))


def test_runs_of_one_name_are_all_drawn(run_tool, runs):
    out = runs / 'map.svg'
    assert run_tool('feature_map', f'run={runs}/cd', f'run={runs}/dsc', '--out', out)[0] == 0
    assert out.read_text().count('>run</text>') == 2


def test_a_run_without_features(run_tool, runs):
    (runs / 'cd' / 'features.safetensors').unlink()
    (runs / 'cd' / 'metrics.json').write_text('{}')
    for name in ('feature_map', 'retrieval_picture'):
        code, _, errors = run_tool(name, runs / 'cd', runs / 'dsc', '--out', runs / 'a.svg')
        assert code == 2
        assert errors == (
            f'error: feature file {runs}/cd/features.safetensors is missing; '
            'write it with dscreid test --dump-features\n'
        )


def test_a_file_of_another_format_is_refused_before_the_work(run_tool, runs):
    for name in ('feature_map', 'retrieval_picture'):
        code, _, errors = run_tool(name, 'gone', 'gone', '--out', runs / 'a.jpg')
        assert code == 2
        assert 'use a name that ends in .png or .svg' in errors


def test_a_query_before_and_after(run_tool, runs):
    out = runs / 'picture.svg'
    arguments = (f'CD={runs}/cd', f'DSC={runs}/dsc', '--out', out, '--ranks', 2, '--seed', 1)
    code, printed, _ = run_tool('retrieval_picture', *arguments)
    assert code == 0, printed
    assert 'of 6 queries, one per person, ' in printed
    assert printed.endswith(f'wrote {out}\n')
    text = out.read_text()
    assert '>Visible query</text>' in text
    assert '>DSC: 1 of 2 infrared answers right</text>' in text  # the other match is of the query's camera
    first = out.read_bytes()
    run_tool('retrieval_picture', *arguments)
    assert out.read_bytes() == first


def test_runs_in_the_wrong_order(run_tool, runs):
    code, _, errors = run_tool('retrieval_picture', runs / 'dsc', runs / 'cd', '--out', runs / 'a.svg')
    assert code == 2
    assert 'name the run before adaptation first' in errors
    assert not (runs / 'a.svg').exists()


def test_a_config_without_a_protocol(run_tool, runs):
    for name in ('cd', 'dsc'):
        config = runs / name / 'session' / 'vis_data' / 'config.py'
        config.write_text(CONFIG.replace(", protocol='hitsz_vcm'", ''))
    code, _, errors = run_tool('retrieval_picture', runs / 'cd', runs / 'dsc', '--out', runs / 'a.svg')
    assert code == 2
    assert 'has no protocol in test_evaluator' in errors


def test_work_directories_without_a_config(run_tool, runs):
    for name in ('cd', 'dsc'):
        (runs / name / 'session' / 'vis_data' / 'config.py').unlink()
    code, _, errors = run_tool('retrieval_picture', runs / 'cd', runs / 'dsc', '--out', runs / 'a.svg')
    assert code == 2
    assert errors == f'error: {runs}/cd has no config of its test set; name one with --config.\n'


def test_overrides_need_a_config(run_tool, runs):
    code, _, errors = run_tool(
        'retrieval_picture', runs / 'cd', runs / 'dsc', '--out', runs / 'a.svg', '--cfg-options', 'a=1'
    )
    assert code == 2
    assert '--cfg-options changes the config named by --config' in errors


def test_attention_of_a_run_of_this_package(run_tool, tiny_runs, tiny_experiment, tmp_path):
    arguments = (tiny_runs.adapt, tiny_experiment.checkpoint, '--seed', 3, '--note', 'by hand')
    outputs = tmp_path / 'a.svg', tmp_path / 'b.svg'
    for out in outputs:
        code, printed, _ = run_tool('prompt_attention', *arguments, '-o', out)
        assert code == 0
        rows = printed.splitlines()[-3:]
        assert rows[0].startswith('visible, person ')
        assert rows[1].startswith('infrared, person ')
        assert rows[0].split()[2] == rows[1].split()[2]
        assert rows[2] == f'wrote {out}'
    text = outputs[0].read_text()
    assert all(f'>{shown}</text>' in text for shown in (*rows[:2], 'by hand'))
    assert text == outputs[1].read_text()
    person = rows[0].split()[2].strip(',')
    code, printed, _ = run_tool('prompt_attention', *arguments, '--person', person, '-o', outputs[0])
    assert code == 0
    assert f'visible, person {person}, ' in printed
    code, _, errors = run_tool('prompt_attention', *arguments, '--person', 999, '-o', tmp_path / 'c.svg')
    assert code == 2
    assert 'no visible and infrared tracklets of person 999' in errors
    assert not (tmp_path / 'c.svg').exists()


def test_features_of_the_last_checkpoint_are_those_of_the_run(tiny_runs, tiny_experiment):
    (work_dir,) = find_work_dirs([str(tiny_experiment.work_dir)])
    run, config = work_dir.load_run(), load_config(tiny_runs.adapt)
    rows = np.arange(len(run.features))[::3]
    again = extract_rows(config, tiny_experiment.checkpoint, run, rows)
    np.testing.assert_allclose(again.feature[rows], run.features.feature[rows], atol=1e-5)
    assert not np.delete(again.feature, rows, axis=0).any()
    before = extract_rows(config, tiny_experiment.work_dir / 'epoch_0.pth', run, rows)
    assert np.abs(before.feature[rows] - again.feature[rows]).max() > 1e-3


TONES = {'model.data_preprocessor.tones': dict(colors=4)}


@pytest.fixture
def toned(tiny_experiment, tmp_path):
    """Checkpoint of a model with tones; every color is a gray of 51 out of 255."""
    weights = load_weights(tiny_experiment.checkpoint)
    weights['data_preprocessor.tone_table'] = torch.full((33, 33, 33), 0.2)
    weights['data_preprocessor.knows_tones'] = torch.tensor(True)
    torch.save(dict(state_dict=weights), tmp_path / 'tones.pth')
    return tmp_path / 'tones.pth'


def test_a_picture_of_learned_tones(run_tool, tiny_runs, toned, tmp_path):
    options = ('--cfg-options', "model.data_preprocessor.tones={'colors': 4}", '--note', 'by hand')
    for name in ('a.svg', 'b.svg'):
        code, printed, _ = run_tool('tone_picture', tiny_runs.adapt, toned, '-o', tmp_path / name, *options)
        assert code == 0
        assert printed.splitlines()[-1] == f'wrote {tmp_path / name}'
    text = (tmp_path / 'a.svg').read_text()
    assert 'by hand' in text
    assert 'person' in text
    assert text == (tmp_path / 'b.svg').read_text()
    dataset = build_test_dataset(load_config(tiny_runs.adapt), with_pipeline=True)
    persons = {one.pid for one in dataset.tracklets}
    examples = tone_examples(load_config(tiny_runs.adapt, TONES), toned, count=99)
    assert {one.title for one in examples} == {f'person {pid}' for pid in persons}
    frames = [dataset[position]['inputs'][0].movedim(0, -1).numpy() for position in range(len(dataset))]
    for one in examples:
        assert (one.translated == 51).all()
        assert any(np.array_equal(one.visible, frame) for frame in frames)
        assert any(np.array_equal(one.infrared, frame) for frame in frames)


def test_a_picture_of_tones_needs_tones(tiny_runs, tiny_experiment):
    with pytest.raises(ConfigError, match='learns no infrared tones; use dsc/dsc_tones'):
        tone_examples(load_config(tiny_runs.adapt), tiny_experiment.checkpoint)
    with pytest.raises(ConfigError, match='has no infrared tones yet; use a checkpoint of a finished epoch'):
        tone_examples(load_config(tiny_runs.adapt, TONES), tiny_experiment.checkpoint)


def test_attention_needs_prompts(tiny_runs, tmp_path):
    backbone = dict(type='FrameAverage', tower=load_config(tiny_runs.adapt).model.backbone.tower)
    config = load_config(tiny_runs.adapt)
    config.model.backbone = backbone
    checkpoint = tmp_path / 'frame.pth'
    torch.save(dict(state_dict=init_model(config).state_dict()), checkpoint)
    with pytest.raises(ConfigError, match='FrameAverage has no prompts; use a config whose backbone is Spatio'):
        attended_tracklets(config, checkpoint)


def test_compiled_blocks_are_run_as_they_are(tiny_runs, tiny_experiment):
    config = load_config(tiny_runs.adapt)
    plain = attended_tracklets(config, tiny_experiment.checkpoint)
    config.model.backbone.compile_blocks = True
    compiled = attended_tracklets(config, tiny_experiment.checkpoint)
    np.testing.assert_array_equal(plain[0].maps, compiled[0].maps)
    assert config.model.backbone.compile_blocks  # the caller's config does not change


@pytest.mark.parametrize(
    ('name', 'option'),
    [
        ('feature_map', ('--persons', 0)),
        ('feature_map', ('--tracklets', 2)),
        ('feature_map', ('--seed', -1)),
        ('retrieval_picture', ('--ranks', 0)),
        ('retrieval_picture', ('--frames', 0)),
        ('retrieval_picture', ('--seed', -1)),
        ('prompt_attention', ('--seed', -1)),
        ('tone_picture', ('--persons', 0)),
    ],
)
def test_options_out_of_range(run_tool, name, option):
    code, _, errors = run_tool(name, 'a', 'b', '--out', 'c.svg', *option)
    assert code == 2
    assert option[0] in errors.splitlines()[-1]
