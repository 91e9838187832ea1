"""Submission with a stand-in for Slurm that runs nothing and remembers everything."""

import json
import stat

import pytest

from dscreid.errors import ConfigError
from dscreid.lab.reproduction import execution
from dscreid.lab.reproduction.execution import execute
from dscreid.lab.reproduction.jobs import Job
from dscreid.lab.reproduction.process import lock_folder
from dscreid.lab.reproduction.slurm import SlurmOptions

_SBATCH = """#!/bin/sh
echo "$@" >> {folder}/calls
number=$(wc -l < {folder}/calls)
echo "$((100 + number));cluster"
"""
_SQUEUE = """#!/bin/sh
cat {folder}/queue 2> /dev/null
"""


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """Folder of the stand-in's records."""
    folder = tmp_path / 'slurm'
    folder.mkdir()
    for name, text in (('sbatch', _SBATCH), ('squeue', _SQUEUE)):
        program = folder / name
        program.write_text(text.format(folder=folder))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv('PATH', f'{folder}:/usr/bin:/bin')
    return folder


OPTIONS = SlurmOptions.parse(['gpu', 'gres=gpu:1', 'time=24:00:00'])


def calls(folder):
    return (folder / 'calls').read_text().splitlines()


def test_every_run_is_submitted_after_what_it_needs(bench, slurm):
    statuses = bench.run('table1', rows=['cd', 'pgm'], slurm=OPTIONS)
    assert list(statuses) == ['source_demo', 'cd_demo', 'bclu_demo', 'pgm_demo']
    after = [line.partition('--dependency=')[2].split(' ')[0] for line in calls(slurm)]
    assert after == ['', 'afterok:101', 'afterok:101', 'afterok:103']
    script = (bench.folder_of('.slurm') / 'pgm_demo.sh').read_text()
    assert '#SBATCH --partition=gpu\n' in script
    assert '#SBATCH --gres=gpu:1\n#SBATCH --time=24:00:00\n' in script
    assert 'tools/reproduce.py execute' in script
    assert bench.starts() == []


def test_what_is_in_the_queue_is_not_submitted_again(bench, slurm):
    bench.run('table1', rows=['cd'], slurm=OPTIONS)
    (slurm / 'queue').write_text('101 gpu demo PENDING\n')
    bench.run('table1', rows=['cd'], slurm=OPTIONS)
    assert len(calls(slurm)) == 2
    (slurm / 'queue').unlink()  # they ended, without a result
    bench.run('table1', rows=['cd'], slurm=OPTIONS)
    assert len(calls(slurm)) == 4


def test_a_submitted_job_does_what_the_local_one_does(bench, slurm):
    bench.run('table3', rows=['cd'], slurm=OPTIONS)
    for name in ('source_demo', 'cd_demo'):
        job = Job.from_json((bench.folder_of('.slurm') / f'{name}.json').read_text())
        execute(job, lambda: {'Python': '3'})
    card = bench.card('cd_demo')
    assert card['environment'] == {'Python': '3'}
    assert bench.run('table3', rows=['cd']) == {'cd_demo': 'finished before'}
    execute(job, dict)  # submitted twice: taken as it is
    assert bench.started() == ['source_demo', 'cd_demo']


def test_a_submitted_job_notices_other_code_and_other_processes(bench, slurm, monkeypatch):
    bench.run('table3', rows=['cd'], slurm=OPTIONS)
    job = Job.from_json((bench.folder_of('.slurm') / 'source_demo.json').read_text())
    with lock_folder(job), pytest.raises(ConfigError, match='another process works in'):
        execute(job, dict)
    monkeypatch.setattr(execution, 'code_fingerprint', lambda: 'newer')
    with pytest.raises(ConfigError, match='the code was changed'):
        execute(job, dict)
    execute(job, dict, accept_revision=True)
    assert bench.card('source_demo')['identity']['code'] == 'newer'


def test_a_failing_submitted_job_says_why(bench, slurm):
    bench.run('table3', rows=['cd'], slurm=OPTIONS)
    bench.setenv('FAKE_FAILING', 'source_demo')
    job = Job.from_json((bench.folder_of('.slurm') / 'source_demo.json').read_text())
    with pytest.raises(ConfigError, match='source_demo failed: this run was told to fail'):
        execute(job, dict)


def test_a_job_survives_its_file(bench, slurm):
    bench.run('table3', rows=['cd'], slurm=OPTIONS)
    text = (bench.folder_of('.slurm') / 'cd_demo.json').read_text()
    assert Job.from_json(text).to_json() == text
    assert json.loads(text)['dependencies'][-1] == 'bupt2hitsz/seed1/source_demo'


def test_without_slurm_the_message_says_so(bench, monkeypatch):
    monkeypatch.setenv('PATH', '/nowhere')
    with pytest.raises(ConfigError, match='sbatch is not on the PATH'):
        bench.run('table3', rows=['cd'], slurm=OPTIONS)


@pytest.mark.parametrize('word', ['gres', '--gres=gpu:1', 'gres=', '=1'])
def test_settings_are_pairs(word):
    with pytest.raises(ConfigError, match='KEY=VALUE'):
        SlurmOptions.parse(['gpu', word])
