"""Submission with a stand-in for Slurm that runs nothing and remembers everything."""

import pickle
import stat

import pytest
from submitit.core.utils import DelayedSubmission

from dscreid.errors import ConfigError
from dscreid.lab.reproduction import execution
from dscreid.lab.reproduction.driver import parse_slurm_options
from dscreid.lab.reproduction.execution import execute

_SBATCH = """#!/bin/sh
cat "$1" > {folder}/script_$(ls {folder} | grep -c script_)
echo "Submitted batch job $((100 + $(ls {folder} | grep -c script_)))"
"""
_SQUEUE = """#!/bin/sh
cat {folder}/queue 2> /dev/null
"""


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """Folder of the stand-in's records."""
    folder = tmp_path / 'slurm'
    folder.mkdir()
    for name, text in (('sbatch', _SBATCH), ('srun', ''), ('squeue', _SQUEUE)):
        program = folder / name
        program.write_text(text.format(folder=folder))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv('PATH', f'{folder}:/usr/bin:/bin')
    return folder


OPTIONS = parse_slurm_options(['gpu', 'gres=gpu:1', 'time=24:00:00'])


def scripts(folder):
    """Lines of each submitted script, in order."""
    return [path.read_text().splitlines() for path in sorted(folder.glob('script_*'))]


def submitted(bench, name):
    """What a submitted job will call, by the name of its run."""
    folder = bench.place.folder / '.slurm'
    number = (folder / f'bupt2hitsz/seed1/{name}.number').read_text()
    return DelayedSubmission.load(folder / f'{number}_submitted.pkl')


def test_every_run_is_submitted_after_what_it_needs(bench, slurm):
    statuses = bench.run('table1', rows=['cd', 'pgm'], slurm=OPTIONS)
    assert list(statuses) == ['source_demo', 'cd_demo', 'bclu_demo', 'pgm_demo']
    texts = scripts(slurm)
    after = [[line.split('=')[1] for line in lines if '--dependency' in line] for lines in texts]
    assert after == [[], ['afterok:101'], ['afterok:101'], ['afterok:103']]
    options = {'partition=gpu', 'gres=gpu:1', 'time=24:00:00', 'job-name=bupt2hitsz/seed1/pgm_demo'}
    assert {f'#SBATCH --{option}' for option in options} <= set(texts[-1])
    assert bench.starts() == []


def test_without_a_time_limit_the_partition_decides(bench, slurm):
    bench.run('table1', rows=['cd'], slurm=parse_slurm_options(['gpu']))
    assert not [line for line in scripts(slurm)[0] if '--time' in line or '--wckey' in line]


def test_what_is_in_the_queue_is_not_submitted_again(bench, slurm):
    bench.run('table1', rows=['cd'], slurm=OPTIONS)
    (slurm / 'queue').write_text('101 gpu demo PENDING\n')
    bench.run('table1', rows=['cd'], slurm=OPTIONS)
    assert len(scripts(slurm)) == 2
    (slurm / 'queue').unlink()  # they ended, without a result
    bench.run('table1', rows=['cd'], slurm=OPTIONS)
    assert len(scripts(slurm)) == 4


def test_a_submitted_job_does_what_the_local_one_does(bench, slurm):
    bench.run('table3', rows=['cd'], slurm=OPTIONS)
    for name in ('source_demo', 'cd_demo'):
        submitted(bench, name).result()
    assert bench.card('cd_demo')['environment']['Python']
    assert bench.run('table3', rows=['cd']) == {'cd_demo': 'finished before'}
    submitted(bench, 'cd_demo').result()  # submitted twice: accepted as it is
    assert bench.started() == ['source_demo', 'cd_demo']


def test_a_submitted_job_notices_other_code(bench, slurm, monkeypatch):
    bench.run('table3', rows=['cd'], slurm=OPTIONS)
    job, accept = submitted(bench, 'source_demo').args
    assert not accept
    monkeypatch.setattr(execution, 'code_fingerprint', lambda: 'newer')
    with pytest.raises(ConfigError, match='the code has changed'):
        execute(job)
    execute(job, accept_revision=True)
    assert bench.card('source_demo')['identity']['code'] == 'newer'


def test_a_failing_submitted_job_says_why(bench, slurm):
    bench.run('table3', rows=['cd'], slurm=OPTIONS)
    bench.setenv('FAKE_FAILING', 'source_demo')
    with pytest.raises(ConfigError, match='source_demo: failed: this run was told to fail'):
        submitted(bench, 'source_demo').result()


def test_a_job_survives_pickling(bench, slurm):
    bench.run('table3', rows=['cd'], slurm=OPTIONS)
    job, _ = submitted(bench, 'cd_demo').args
    assert pickle.loads(pickle.dumps(job)) == job
    assert job.dependencies[-1] == 'bupt2hitsz/seed1/source_demo'


def test_without_slurm_the_message_says_so(bench, monkeypatch):
    monkeypatch.setenv('PATH', '/nowhere')
    with pytest.raises(ConfigError, match='srun and sbatch are not on the PATH'):
        bench.run('table3', rows=['cd'], slurm=OPTIONS)


def test_what_slurm_refuses_is_an_error(bench, slurm):
    (slurm / 'sbatch').write_text('#!/bin/sh\necho "invalid partition" >&2\nexit 1\n')
    with pytest.raises(ConfigError, match=r'Slurm refused .*source_demo.*invalid partition'):
        bench.run('table3', rows=['cd'], slurm=OPTIONS)


@pytest.mark.parametrize('word', ['gres', '--gres=gpu:1', 'gres=', '=1'])
def test_settings_are_pairs(word):
    with pytest.raises(ConfigError, match='KEY=VALUE'):
        parse_slurm_options(['gpu', word])
