import io

from rich.console import Console

from dscreid.lab.reproduction.jobs import Job
from dscreid.lab.reproduction.progress import JobStatus, Phase, ProgressTable, epoch_of


def job(folder, name='run', max_epochs=6):
    return Job(name, folder, (), max_epochs=max_epochs)


def test_the_epoch_is_that_of_the_last_checkpoint(tmp_path):
    assert epoch_of(job(tmp_path)) == ''
    (tmp_path / 'last_checkpoint').write_text(f'{tmp_path}/epoch_3.pth')
    assert epoch_of(job(tmp_path)) == '3/6'
    assert epoch_of(job(tmp_path, max_epochs=0)) == ''


def test_without_a_terminal_each_change_is_a_line(tmp_path):
    statuses = {'a': JobStatus(Phase.WAITING), 'b': JobStatus(Phase.WAITING)}
    stream = io.StringIO()
    with ProgressTable([job(tmp_path, 'a'), job(tmp_path, 'b')], statuses, stream) as table:
        table.update()
        statuses['a'] = JobStatus(Phase.RUNNING, 0.0)
        table.update()
        statuses['a'] = JobStatus(Phase.RUNNING, 5.0)
        table.update()
        statuses['a'] = JobStatus(Phase.FAILED, 61.0, 'no [memory]')
        statuses['b'] = JobStatus(Phase.SKIPPED, note='it needs a')
        table.update()
    assert stream.getvalue().splitlines() == [
        'a: running',
        'a: failed (1 min 01 s; no [memory])',
        'b: skipped (it needs a)',
    ]


def test_the_live_table_has_a_line_per_job(tmp_path):
    statuses = {'a': JobStatus(Phase.RUNNING, 3.0), 'b': JobStatus(Phase.FAILED, 1.0, 'no [memory]')}
    table = ProgressTable([job(tmp_path, 'a'), job(tmp_path, 'b')], statuses, io.StringIO())
    console = Console(file=io.StringIO(), width=100)
    console.print(table.table())
    lines = console.file.getvalue().splitlines()
    assert lines[0].strip() == '0 of 2 finished'
    assert [line.split()[:2] for line in lines[1:]] == [['run', 'state'], ['a', 'running'], ['b', 'failed']]
    assert lines[3].rstrip().endswith('no [memory]')


def test_a_short_terminal_shows_the_active_jobs(tmp_path):
    phases = [Phase.TAKEN] * 20 + [Phase.FINISHED] * 20 + [Phase.RUNNING, Phase.WAITING, Phase.FAILED]
    jobs = [job(tmp_path, str(number)) for number in range(len(phases))]
    statuses = {str(number): JobStatus(phase) for number, phase in enumerate(phases)}
    table = ProgressTable(jobs, statuses, io.StringIO()).table()
    assert table.title == '40 of 43 finished'
    assert list(table.columns[0].cells)[:4] == ['40', '42', '41', '20']
