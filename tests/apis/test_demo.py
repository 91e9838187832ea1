import json

import pytest

from dscreid.apis.demo import CD_ROW, DSC_ROW, Demo, DemoOptions, Expectations
from dscreid.errors import ConfigError
from dscreid.visualization import ReportRun

HEALTHY = {
    'labels/rgb_clusters': 150.0,
    'labels/ir_clusters': 140.0,
    'labels/rgb_labelled': 0.9,
    'labels/ir_labelled': 0.8,
}


@pytest.fixture
def demo(tmp_path):
    return Demo(DemoOptions(out=tmp_path, configs=tmp_path))


def finish(demo, labels, source_rank1=0.95):
    """The files of a finished demo that judge it."""
    out = demo.options.out
    (out / 'source').mkdir()
    (out / 'source' / 'metrics.json').write_text(json.dumps({'mean/Rank-1': source_rank1}))
    scalars = out / 'dsc' / 'stamp' / 'vis_data' / 'scalars.json'
    scalars.parent.mkdir(parents=True)
    early = {**HEALTHY, 'labels/rgb_clusters': 1.0, 'step': 1}
    scalars.write_text(
        '\n'.join(json.dumps(record) for record in (early, {'loss': 1.0}, {**labels, 'step': 2}))
    )


def rows(cd, dsc):
    return [ReportRun(CD_ROW, {'mean/mAP': cd}), ReportRun(DSC_ROW, {'mean/mAP': dsc})]


def test_healthy_demo_has_no_problems(demo):
    finish(demo, HEALTHY)
    assert demo.problems(rows(0.40, 0.50), Expectations()) == []


@pytest.mark.parametrize(
    ('labels', 'source_rank1', 'dsc', 'word'),
    [
        ({}, 0.5, 0.50, 'source model'),
        ({}, 0.95, 0.42, 'gains 2.0 mAP points'),
        ({'labels/ir_clusters': 3.0}, 0.95, 0.50, 'ir: 3 clusters'),
        ({'labels/rgb_clusters': 900.0}, 0.95, 0.50, 'rgb: 900 clusters'),
        ({'labels/ir_labelled': 0.1}, 0.95, 0.50, 'ir: only 10 %'),
    ],
)
def test_each_shortfall_is_named(demo, labels, source_rank1, dsc, word):
    finish(demo, HEALTHY | labels, source_rank1)
    problems = demo.problems(rows(0.40, dsc), Expectations())
    assert len(problems) == 1
    assert word in problems[0]


def test_timings_of_several_runs_add_up(demo):
    assert demo._timed('one', lambda: 1) == 1
    demo._timed('two', lambda: None)
    assert list(json.loads((demo.options.out / 'timings.json').read_text())) == ['one', 'two']


def test_a_run_is_kept_only_for_the_same_config_world_and_source(demo):
    out = demo.options.out
    (out / 'demo_dsc.py').write_text('a = 1\n')
    (out / 'source').mkdir()
    (out / 'source' / 'key').write_text('source model')
    world = out / 'world'
    world.mkdir()
    (world / 'world.json').write_text('seed 1')

    def survives():
        """Whether what a run left is still there when its folder is asked for again."""
        folder = demo._work_dir('dsc', 'demo_dsc', world)
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
    (out / 'demo_dsc.py').write_text('a = 2\n')
    assert not survives()
    assert survives()


def test_a_folder_of_others_is_not_emptied(demo):
    """Someone may name a project's folder, in which ``source`` holds the program."""
    out = demo.options.out
    (out / 'demo_source.py').write_text('a = 1\n')
    (out / 'world').mkdir()
    (out / 'world' / 'world.json').write_text('seed 1')
    (out / 'source').mkdir()
    (out / 'source' / 'main.c').write_text('mine')
    with pytest.raises(ConfigError, match=r'main\.c: .* was not written by dscreid'):
        demo._work_dir('source', 'demo_source', out / 'world')
    assert (out / 'source' / 'main.c').read_text() == 'mine'
