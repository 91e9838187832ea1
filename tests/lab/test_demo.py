import json
import shutil
from pathlib import Path

import pytest

from dscreid.apis.config import config_hash, load_config
from dscreid.errors import ConfigError
from dscreid.lab.demo import ADABN_ROW, CD_ROW, DSC_ROW, FULL, SHORT, Demo, best_without_adaptation
from dscreid.visualization import ReportRun, load_run

CONFIGS = Path(__file__).parents[2] / 'configs'
SETTINGS = "test_dataloader = dict(dataset=dict(type='HITSZVCM', split='test'))\nmodel = dict(a={})\n"
HEALTHY = {
    'labels/rgb_clusters': 150.0,
    'labels/ir_clusters': 140.0,
    'labels/rgb_labelled': 0.9,
    'labels/ir_labelled': 0.8,
}


@pytest.fixture
def demo(tmp_path):
    return Demo(out=tmp_path, configs=tmp_path / 'configs', size=FULL)


def write_config(demo, run, value):
    path = demo.config_path(run)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(SETTINGS.format(value))


def finish(demo, labels, source_rank1=0.95):
    """The files of a finished demo that judge it."""
    out = demo.out
    (out / 'source').mkdir()
    (out / 'source' / 'metrics.json').write_text(json.dumps({'mean/Rank-1': source_rank1}))
    scalars = out / 'dsc' / 'stamp' / 'vis_data' / 'scalars.json'
    scalars.parent.mkdir(parents=True)
    early = {**HEALTHY, 'labels/rgb_clusters': 1.0, 'step': 1}
    scalars.write_text('\n'.join(json.dumps(record) for record in (early, {'loss': 1.0}, {**labels, 'step': 2})))


def rows(cd, dsc):
    values = {CD_ROW: cd, ADABN_ROW: cd - 0.01, DSC_ROW: dsc}
    return [ReportRun(name, {'mean/mAP': value}) for name, value in values.items()]


@pytest.mark.parametrize('dsc', [0.426, 0.438, 0.451, 0.460])
@pytest.mark.parametrize('rounding', [-0.022, 0.0])
def test_what_rounds_differently_has_no_problems(demo, dsc, rounding):
    # the smallest gain of the short demo; those of the full one with one seed on three machines, whose range is 0.022
    dsc += rounding
    finish(demo, HEALTHY, source_rank1=0.88)
    assert demo.problems(rows(0.40, dsc)) == []


@pytest.mark.parametrize(
    ('labels', 'source_rank1', 'dsc', 'word'),
    [
        ({}, 0.5, 0.50, 'source model'),
        ({}, 0.95, 0.38, 'changes mAP by -2.0 points'),
        ({}, 0.95, float('nan'), 'changes mAP by +nan points'),
        ({'labels/ir_clusters': 3.0}, 0.95, 0.50, 'ir: 3 clusters'),
        ({'labels/rgb_clusters': 900.0}, 0.95, 0.50, 'rgb: 900 clusters'),
        ({'labels/ir_labelled': 0.1}, 0.95, 0.50, 'ir: only 10 %'),
    ],
)
def test_each_shortfall_is_named(demo, labels, source_rank1, dsc, word):
    finish(demo, HEALTHY | labels, source_rank1)
    problems = demo.problems(rows(0.40, dsc))
    assert len(problems) == 1
    assert word in problems[0]


def test_the_gain_is_over_the_best_of_all_that_trains_nothing(demo):
    assert best_without_adaptation(rows(0.40, 0.5)) == 0.40
    cd, adabn, dsc = rows(0.40, 0.5)
    better = ReportRun(ADABN_ROW, {'mean/mAP': 0.45})
    assert best_without_adaptation([cd, better, dsc]) == 0.45
    as_vld = ReportRun(CD_ROW, cd.metrics, rankings={'vld': {'mean/mAP': 0.52}})
    assert best_without_adaptation([as_vld, adabn, dsc]) == 0.52
    finish(demo, HEALTHY)
    (problem,) = demo.problems([as_vld, adabn, dsc])
    assert 'DSC changes mAP by -2.0 points from the best result without adaptation' in problem


def test_the_full_demo_is_the_documented_one(tmp_path):
    full = Demo(out=tmp_path, configs=CONFIGS, size=FULL)
    assert full.config_path('dsc') == CONFIGS / 'dsc/dsc_demo.py'
    source, target = full.worlds.values()
    assert (source.train_ids, source.tracklets, source.test_ids) == (240, 8, 60)
    assert (target.train_ids, target.tracklets, target.test_ids, target.test_tracklets) == (150, 12, 80, 6)


@pytest.mark.parametrize('name', ['source', 'cd', 'adabn', 'dsc', 'bclu', 'true_labels'])
def test_the_short_demo_differs_in_length_only(tmp_path, name):
    full, short = (Demo(out=tmp_path, configs=CONFIGS, size=size).config_path(name) for size in (FULL, SHORT))
    options = {} if name in ('cd', 'adabn') else {'train_dataloader.sampler.iterations': 80}
    if name == 'source':
        options = {'train_dataloader.sampler.iterations': 25}
    else:
        assert Path(load_config(short).source.config).name == 'stp_demo_short.py'
    assert config_hash(load_config(short)) == config_hash(load_config(full, options))


def test_the_worlds_of_the_short_demo_are_half_as_large(tmp_path):
    full, short = (
        list(demo.worlds.values())
        for demo in (Demo(out=tmp_path, configs=CONFIGS, size=size) for size in (FULL, SHORT))
    )
    frames = [
        sum(
            (spec.train_ids * spec.tracklets + spec.test_ids * spec.test_tracklets) * spec.max_frames for spec in worlds
        )
        for worlds in (full, short)
    ]
    assert frames[1] < frames[0] / 2
    for large, small in zip(full, short, strict=True):
        assert (small.seed, small.layout, small.appearance) == (large.seed, large.layout, large.appearance)


def test_the_report_shows_both_runs(demo, tiny_experiment, capsys):
    for run, folder in (
        ('source', tiny_experiment.source_dir),
        *((run, tiny_experiment.work_dir) for run in ('cd', 'dsc')),
    ):
        shutil.copytree(folder, demo.out / run)
    (demo.out / 'source' / 'metrics.json').write_text(json.dumps({'mean/Rank-1': 0.9, 'mean/mAP': 0.5}))
    runs = [
        load_run(row, demo.out / run / 'metrics.json', demo.out / run / 'features.safetensors')
        for run, row in (('cd', CD_ROW), ('dsc', DSC_ROW))
    ]
    demo.write_report(runs)
    page = (demo.out / 'report.html').read_text()
    headings = ('Source stage', 'Retrieval lists', 'Distances', 'Feature map', 'Prompt attention', 'Wall times')
    assert [heading for heading in headings if heading not in page] == []
    assert 'on unseen people of the source world' in page
    assert page.count('data:image/jpeg;base64') > 10
    assert DSC_ROW in capsys.readouterr().out


def test_a_run_is_kept_only_for_the_same_config_world_and_source(demo):
    out = demo.out
    write_config(demo, 'dsc', 1)
    (out / 'source').mkdir()
    (out / 'source' / 'key').write_text('source model')
    world = out / 'worlds' / 'target'
    world.mkdir(parents=True)
    (world / 'world.json').write_text('seed 1')

    def survives():
        """Whether what a run left is still there when its folder is asked for again."""
        folder = demo.work_dir('dsc')
        kept = (folder / 'metrics.json').is_file()
        (folder / 'metrics.json').write_text('{}')
        return kept

    assert not survives()
    assert survives()
    (out / 'dsc' / 'notes.txt').write_text('mine')
    (world / 'world.json').write_text('seed 2')
    with pytest.raises(ConfigError, match=r'notes\.txt: .* was not written by dscreid'):
        survives()
    (out / 'dsc' / 'notes.txt').unlink()
    assert not survives()
    (out / 'source' / 'key').write_text('another source model')
    assert not survives()
    write_config(demo, 'dsc', 2)
    assert not survives()
    assert survives()


def test_a_folder_of_others_is_not_emptied(demo):
    """Someone may name a project's folder, in which ``source`` holds the program."""
    out = demo.out
    write_config(demo, 'source', 1)
    world = out / 'worlds' / 'source'
    world.mkdir(parents=True)
    (world / 'world.json').write_text('seed 1')
    (out / 'source').mkdir()
    (out / 'source' / 'main.c').write_text('mine')
    with pytest.raises(ConfigError, match=r'main\.c: .* was not written by dscreid'):
        demo.work_dir('source')
    assert (out / 'source' / 'main.c').read_text() == 'mine'
