"""Which jobs run, in which order, and which results are reused."""

import io
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import pytest

from dscreid.errors import ConfigError
from dscreid.lab.reproduction import driver, execution, planning, presets, reproduce
from dscreid.lab.reproduction.driver import prepare
from dscreid.lab.reproduction.execution import lock_folder, run_jobs
from dscreid.lab.reproduction.experiments import EXPERIMENTS
from dscreid.lab.reproduction.jobs import Job
from dscreid.lab.synthetic.target_folder import RENDERER_VERSION
from dscreid.utils.machine import usable_cores

TABLE3 = ['cd_demo', 'adabn_demo', 'bclu_demo', 'without_dslu_demo', 'without_dsjl_demo', 'dsc_demo']


def test_a_table_runs_its_stage_first_and_every_row_once(bench):
    statuses = bench.run()
    assert statuses == dict.fromkeys(['source_demo', *TABLE3], 'finished')
    assert bench.started() == ['source_demo', *TABLE3]
    first = bench.starts()[0]
    assert first.seed == 1
    worlds = bench.place.world_folders('bupt2hitsz', 1)
    assert first.roots == [str(worlds['source']), str(worlds['target'])]


def test_stages_lie_beside_the_runs_that_look_for_them_there(bench):
    bench.run('table1', rows=['pgm'])
    assert bench.started() == ['source_demo', 'bclu_demo', 'pgm_demo']
    assert {'source_demo', 'bclu_demo'} <= set(bench.starts()[-1].seen)


def test_every_table_reuses_finished_runs(bench):
    bench.run()
    statuses = bench.run()
    assert statuses == dict.fromkeys(TABLE3, 'finished before')
    bench.run('table4', rows=['neither', 'both'])
    bench.run('table1', rows=['cd', 'b+clu', 'dsc'])
    assert len(bench.starts()) == 7


def test_a_sweeps_point_at_the_default_is_the_configs_own_run(bench):
    text = (bench.configs / 'dsc_demo.py').read_text()
    losses = 'model = dict(neighbor_losses=[dict(alpha=0.9), dict(alpha=0.9)])\n'
    (bench.configs / 'dsc_demo.py').write_text(text + losses)
    bench.run('figure4', rows=['alpha 0.8', 'alpha 0.9'])
    assert bench.started() == ['source_demo', 'dsc_demo+alpha_0.8', 'dsc_demo']
    assert bench.starts()[1].options == [f'model.neighbor_losses.{number}.alpha=0.8' for number in (0, 1)]
    assert bench.starts()[2].options == []
    difference = bench.card('dsc_demo+alpha_0.8')['config_difference']
    assert difference == {f'model.neighbor_losses.{number}.alpha': [0.9, 0.8] for number in (0, 1)}


def test_a_failing_row_stops_no_other_and_is_tried_again(bench):
    bench.setenv('FAKE_FAILING', 'bclu_demo')
    statuses = bench.run('table1', rows=['cd', 'bclu', 'pgm', 'dsc'])
    assert statuses == {
        'source_demo': 'finished',
        'cd_demo': 'finished',
        'bclu_demo': 'failed',
        'pgm_demo': 'skipped',
        'dsc_demo': 'finished',
    }
    assert 'bclu_demo: failed' in bench.printed
    assert 'this run was told to fail' in bench.printed
    assert 'metrics' not in bench.card('bclu_demo')
    bench.setenv('FAKE_FAILING', '')
    assert bench.run('table1', rows=['pgm']) == {'bclu_demo': 'finished', 'pgm_demo': 'finished'}
    assert bench.card('bclu_demo')['attempts'] == 2


def test_failures_are_reported_with_their_cause(bench):
    bench.setenv('FAKE_FAILING', 'source_demo')
    source, row = reproduce(bench.options(rows=['cd'], stream=io.StringIO())).values()
    assert (source.lost, row.lost) == (True, True)
    assert 'told to fail' in source.note
    assert row.note == 'it needs bupt2hitsz/seed1/source_demo'


def test_parallel_rows_share_one_source_stage(bench):
    bench.run(jobs=4)
    assert sorted(bench.started()) == sorted(['source_demo', *TABLE3])
    assert bench.started()[0] == 'source_demo'


def test_seeds_and_directions_have_folders_and_worlds_of_their_own(bench):
    bench.run(rows=['cd'], seeds=(1, 2), directions=('bupt2hitsz', 'hitsz2bupt'), jobs=4)
    assert len(bench.starts()) == 8
    assert {(start.seed, start.roots[1]) for start in bench.starts()} == {
        (seed, str(bench.place.world_folders(direction, seed)['target']))
        for seed in (1, 2)
        for direction in ('bupt2hitsz', 'hitsz2bupt')
    }
    cards = [
        bench.card('cd_demo', direction=direction, seed=seed)
        for direction in ('bupt2hitsz', 'hitsz2bupt')
        for seed in (1, 2)
    ]
    assert len({card['identity']['data']['world'] for card in cards}) == 4


def test_the_run_card_says_how_a_result_came_about(bench):
    bench.run(rows=['without_dslu'])
    card = bench.card('without_dslu_demo')
    assert card['metrics'] == pytest.approx(
        {f'{side}/{name}': 0.27 for side in ('rgb2ir', 'ir2rgb', 'mean') for name in ('Rank-1', 'mAP')}
    )
    assert card['config_difference'] == {'model.dslu': ['absent', False]}
    assert (card['seed'], card['direction'], card['data'], card['synthetic']) == (
        1, 'bupt2hitsz', 'synthetic-demo', True,
    )  # fmt: skip
    assert card['peak_memory_mib'] > 1
    assert card['wall_seconds'] >= 0
    assert set(card['identity']['sources']) == {'source_demo'}
    assert card['environment']['Python']
    assert {'git', 'command', 'started', 'peak_gpu_memory_mib', 'revisions'} <= set(card)
    assert card['command'][0] == 'python'  # no place of this machine
    assert card['config'] == 'configs/synthetic/without_dslu_demo.py'
    assert bench.card('source_demo')['config_difference'] is None


# ---- results that were made differently ----
def test_another_revision_is_refused_accepted_or_repeated(bench):
    bench.run(rows=['cd'])
    bench.change_code()
    with pytest.raises(ConfigError, match='--accept-revision') as refusal:
        bench.run(rows=['cd', 'dsc'])
    assert 'cd_demo (another code revision' in str(refusal.value)
    assert len(bench.starts()) == 2  # nothing was started
    assert bench.run(rows=['cd', 'dsc'], accept_revision=True) == {
        'cd_demo': 'finished before',
        'dsc_demo': 'finished',
    }
    identity = bench.card('dsc_demo')['identity']
    assert (identity['code'], identity['sources']['source_demo']['code']) == ('other code', 'present code')
    bench.run(rows=['cd'], rerun_stale=True)
    assert bench.card('cd_demo')['identity']['code'] == 'other code'
    assert bench.started()[-2:] == ['source_demo', 'cd_demo']


def test_a_new_source_model_makes_what_was_built_on_the_old_one_stale(bench):
    bench.run(rows=['cd', 'dsc'])
    path = bench.configs / 'source_demo.py'
    path.write_text(path.read_text() + 'train_cfg = dict(max_epochs=7)\n')
    with pytest.raises(ConfigError, match='config of its source source_demo') as refusal:
        bench.run(rows=['cd'])
    assert '--accept-revision' not in str(refusal.value)
    bench.run(rows=['cd'], rerun_stale=True)
    assert bench.started()[-2:] == ['source_demo', 'cd_demo']
    with pytest.raises(ConfigError, match='dsc_demo'):
        bench.run(rows=['dsc'])


@pytest.mark.parametrize('accept', [False, True])
def test_another_world_is_never_accepted(bench, monkeypatch, accept):
    bench.run(rows=['cd'])
    monkeypatch.setattr(planning, 'RENDERER_VERSION', 99)
    with pytest.raises(ConfigError, match='another data'):
        bench.run(rows=['cd'], accept_revision=accept)


def test_another_config_is_refused(bench):
    bench.run(rows=['cd', 'dsc'])
    path = bench.configs / 'dsc_demo.py'
    path.write_text(path.read_text().replace('0.9', '0.8'))
    with pytest.raises(ConfigError, match='another config'):
        bench.run(rows=['dsc'])


def test_files_of_somebody_else_are_not_touched(bench):
    folder = bench.folder_of('cd_demo')
    folder.mkdir(parents=True)
    (folder / 'thesis.txt').write_text('')
    for rerun_stale in (False, True):
        with pytest.raises(ConfigError, match='no record of this tool'):
            bench.run(rows=['cd'], rerun_stale=rerun_stale)
    assert (folder / 'thesis.txt').exists()


def test_files_of_somebody_else_in_a_folder_of_this_tool_are_not_removed(bench):
    bench.run(rows=['cd'])
    bench.change_code()
    thesis = bench.folder_of('cd_demo') / 'thesis.txt'
    thesis.write_text('')
    with pytest.raises(ConfigError, match=r'thesis\.txt: .* was not written by dscreid'):
        bench.run(rows=['cd'], rerun_stale=True)
    assert thesis.exists()


def test_a_finished_row_stays_when_its_stage_was_removed(bench):
    bench.run(rows=['cd'])
    shutil.rmtree(bench.folder_of('source_demo'))
    assert bench.run(rows=['cd']) == {'cd_demo': 'finished before'}
    bench.run(rows=['cd', 'dsc'])
    assert bench.started()[2:] == ['source_demo', 'dsc_demo']


def test_code_that_changes_during_a_command_is_noticed(bench, monkeypatch):
    monkeypatch.setattr(execution, 'code_fingerprint', lambda: 'another')
    assert bench.run(rows=['cd']) == {'source_demo': 'failed', 'cd_demo': 'skipped'}
    assert 'the code has changed' in bench.printed


def test_all_are_the_tables_and_figures_of_the_paper(bench, monkeypatch):
    asked = []
    known = {name: replace(one, rows=()) for name, one in EXPERIMENTS.items()}
    for name, experiment in known.items():
        monkeypatch.setitem(EXPERIMENTS, name, experiment)
    monkeypatch.setattr(driver, 'choose_rows', lambda experiment, rows: asked.append(experiment.name) or ())
    prepare(bench.options('all', directions=('bupt2hitsz', 'hitsz2bupt')))
    names = [*(f'table{number}' for number in range(1, 7)), 'figure3', 'figure4', 'figure5']
    assert asked == [name for name in names for _ in range(2)]
    with pytest.raises(ConfigError, match='--rows needs one table or figure'):
        prepare(bench.options('all', rows=['dsc']))


def test_a_command_begins_with_its_forecast(bench):
    bench.run(rows=['cd', 'dsc'])
    assert bench.printed.startswith('3 runs to do, 0 finished before; how long they take is unknown')
    bench.run()
    assert bench.printed.startswith('4 runs to do, 2 finished before; about ')


def test_longer_schedules_are_those_of_rendered_worlds(bench):
    options = bench.options('longer')
    real = replace(options, place=replace(bench.place, preset=presets.find_preset('real')))
    with pytest.raises(ConfigError, match=r'longer trains for more epochs than .* the configs for real have those of'):
        prepare(real)


def test_a_method_without_config_is_an_error_of_run(bench):
    with pytest.raises(ConfigError, match="no config of 'gur'"):
        bench.run('table1', rows=['cd', 'gur'])
    assert bench.starts() == []


def test_a_process_that_leaves_no_results_has_failed(bench, monkeypatch, tmp_path):
    empty = tmp_path / 'nothing.py'
    empty.write_text('')
    bench.place = replace(bench.place, trainer=empty)
    assert bench.run(rows=['cd'])['source_demo'] == 'failed'
    assert 'left no metrics.json' in bench.printed


# ---- interruptions ----


def driver_script(bench):
    """A process that runs Table 3's DSC row on the bench."""
    here = Path(__file__).parent
    return textwrap.dedent(f"""
        import importlib.util, sys
        from pathlib import Path
        spec = importlib.util.spec_from_file_location('bench', {str(here / 'conftest.py')!r})
        bench = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(bench)
        bench.use_fakes()
        preset = bench.presets.find_preset('synthetic-demo')
        out, configs = Path({str(bench.place.out)!r}), Path({str(bench.place.configs)!r})
        place = bench.presets.Place(out, preset, configs, bench.TRAINER)
        options = bench.ReproductionOptions('table3', place, directions=('bupt2hitsz',), rows=('cd', 'dsc'))
        statuses = bench.reproduce(options)
        print(sorted(status.phase.value for status in statuses.values()))
    """)


def is_alive(pid):
    try:
        return 'Z' not in Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0]
    except OSError:
        return False


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != 'linux', reason='the kernel ends the children of a killed process on Linux alone')
def test_a_killed_command_leaves_no_process_behind_and_the_next_one_continues(bench, tmp_path):
    bench.options(rows=['dsc'])  # writes the worlds' markers
    gate = tmp_path / 'gate'
    bench.setenv('FAKE_GATE', str(gate))
    script = tmp_path / 'driver.py'
    script.write_text(driver_script(bench))
    process = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: 'dsc_demo' in bench.started() or process.poll() is not None)
        trainer = bench.starts()[-1].pid
        assert is_alive(trainer)
        process.send_signal(signal.SIGKILL)
        process.wait()
        wait_for(lambda: not is_alive(trainer))
    finally:
        process.kill()
        process.stdout.close()
    assert 'metrics' not in bench.card('dsc_demo')
    gate.touch()
    assert bench.run(rows=['cd', 'dsc']) == {'cd_demo': 'finished before', 'dsc_demo': 'finished'}
    assert bench.started() == ['source_demo', 'cd_demo', 'dsc_demo', 'dsc_demo']
    assert bench.card('dsc_demo')['attempts'] == 2


def test_a_run_of_another_process_is_awaited(bench):
    bench.run(rows=['cd'])
    card = bench.folder_of('cd_demo') / 'run_card.json'
    text = card.read_text()
    card.write_text(text.replace('"metrics"', '"unfinished"'))
    lock = lock_folder(Job('x', bench.folder_of('cd_demo'), ()))
    assert lock_folder(Job('x', bench.folder_of('cd_demo'), ())) is None
    stream = io.StringIO()

    def finish():
        card.write_text(text)
        lock.close()

    jobs, _ = prepare(bench.options(rows=['cd']))
    statuses = run_jobs(jobs, stream=stream, pause=finish)
    assert [status.phase.value for status in statuses.values()] == ['finished before']
    assert stream.getvalue().splitlines()[0].endswith('cd_demo: waiting (another process runs it)')
    assert len(bench.starts()) == 2


def test_an_interrupted_command_ends_its_processes(bench, tmp_path):
    bench.setenv('FAKE_GATE', str(tmp_path / 'never'))

    def interrupt():
        time.sleep(0.02)
        if 'dsc_demo' in bench.started():
            raise KeyboardInterrupt

    jobs, _ = prepare(bench.options(rows=['dsc']))
    with pytest.raises(KeyboardInterrupt):
        run_jobs(jobs, stream=io.StringIO(), pause=interrupt)
    assert not is_alive(bench.starts()[-1].pid)


def test_each_running_job_has_its_gpu_and_its_share_of_the_cores(bench):
    bench.setenv('CUDA_VISIBLE_DEVICES', '3,5')
    bench.unsetenv('OMP_NUM_THREADS')
    bench.run(rows=['cd', 'bclu', 'dsc'], jobs=2)
    assert {start.gpu for start in bench.starts()} == {'3', '5'}
    assert {start.threads for start in bench.starts()} == {str(max(1, usable_cores() // 2))}
    # both rows of a pair wait for the stage, so they start together
    assert {start.gpu for start in bench.starts()[1:3]} == {'3', '5'}


def test_worlds_are_rendered_once_and_before_what_uses_them(bench, monkeypatch):
    renderer = Path(__file__).with_name('fake_renderer.py')
    monkeypatch.setattr(planning, 'TASKS', (sys.executable, str(renderer)))
    bench.setenv('FAKE_RENDERER_VERSION', str(RENDERER_VERSION))
    options = replace(bench.options(rows=['cd']), stream=io.StringIO())
    root = bench.place.world_folders('bupt2hitsz', 1)['target']
    shutil.rmtree(root.parent)
    statuses = [(name.rpartition('/')[2], status.phase.value) for name, status in reproduce(options).items()]
    assert statuses == [(name, 'finished') for name in ('source world', 'target world', 'source_demo', 'cd_demo')]
    assert (root / 'world.json').is_file()
    # worlds that nothing needs any more may be removed
    shutil.rmtree(root.parent)
    assert [status.phase.value for status in reproduce(options).values()] == ['finished before']


def test_results_that_another_process_works_on_are_not_removed(bench):
    bench.run(rows=['cd'])
    bench.change_code()
    with (
        lock_folder(Job('x', bench.folder_of('source_demo'), ())),
        pytest.raises(ConfigError, match='another process works in'),
    ):
        bench.run(rows=['cd'], rerun_stale=True)
    assert bench.card('source_demo')


def test_unreadable_results_are_a_failure_of_their_run_alone(bench, tmp_path):
    trainer = tmp_path / 'trainer.py'
    text = Path(bench.place.trainer).read_text()
    broken = "\nif 'cd_demo' in sys.argv[3]:\n    Path(sys.argv[3], 'metrics.json').write_text('{')\n"
    trainer.write_text(text + broken)
    bench.place = replace(bench.place, trainer=trainer)
    statuses = bench.run(rows=['cd', 'dsc'])
    assert statuses == {'source_demo': 'finished', 'cd_demo': 'failed', 'dsc_demo': 'finished'}


def test_each_change_is_a_line(bench):
    bench.setenv('FAKE_FAILING', 'source_demo')
    bench.run(rows=['cd'])
    folder = bench.folder_of('source_demo')
    _, running, failed, skipped = bench.printed.splitlines()
    assert running == f'bupt2hitsz/seed1/source_demo: running ({folder / "reproduce.log"})'
    assert failed.startswith('bupt2hitsz/seed1/source_demo: failed (')
    assert skipped == 'bupt2hitsz/seed1/cd_demo: skipped (it needs bupt2hitsz/seed1/source_demo)'


def test_the_peak_of_gpu_memory_is_that_of_the_log(tmp_path):
    assert execution.peak_gpu_memory(tmp_path) is None
    for number, lines in enumerate(('{"memory": 3, "step": 1}\n{"memory": 5, "step": 2}\n', '{"memory": 4, "step')):
        folder = tmp_path / str(number) / 'vis_data'
        folder.mkdir(parents=True)
        (folder / 'scalars.json').write_text(lines)
    assert execution.peak_gpu_memory(tmp_path) == 5
