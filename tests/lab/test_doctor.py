"""The doctor on rendered worlds, whole and damaged one fault at a time."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from mmengine.logging import MMLogger
from tiny_runs import write_tiny_configs

from dscreid.datasets import HITSZVCM
from dscreid.errors import ConfigError
from dscreid.lab.dataset_checks import Severity
from dscreid.lab.doctor import DoctorOptions, diagnose, forecast
from dscreid.lab.doctor.batches import BatchMeasure, StageMeasure
from dscreid.lab.doctor.forecast import check_disk, check_memory, check_time
from dscreid.neighbors import NeighborSearch
from dscreid.pseudo_labels.clustering.forecast import ClusteringProblem
from dscreid.structures import Modality

pytestmark = pytest.mark.usefixtures('one_thread_throughout')
FAST = DoctorOptions(jobs=2, check_batches=False)


@pytest.fixture
def worlds(tiny_runs, tmp_path):
    """Copies of both worlds that a test may damage, and the config of an adaptation on them."""
    for name in ('bupt', 'hitsz'):
        shutil.copytree(getattr(tiny_runs, name), tmp_path / name)
    _, adapt = write_tiny_configs(tmp_path / 'configs', tmp_path / 'bupt', tmp_path / 'hitsz')
    return tmp_path, adapt


def severities(diagnosis, *least):
    return {(f.check, f.subject.split(' in ')[0]) for f in diagnosis.findings if f.severity in least}


def test_a_healthy_experiment_with_one_batch_of_each_stage(tiny_runs):
    diagnosis = diagnose(tiny_runs.adapt, DoctorOptions(jobs=2))
    problems = [f for f in diagnosis.findings if f.severity > Severity.INFO]
    assert [f.check for f in problems] == ['index'], problems  # the world has no auxiliary people
    assert 'train_auxiliary.txt' in problems[0].message
    assert (diagnosis.exit_code(), diagnosis.exit_code(strict=True)) == (0, 1)
    batches = [(f.subject, f.message.split(':')[0]) for f in diagnosis.findings if f.check == 'dry batch']
    assert batches == [
        ('source (tiny_source.py)', 'training step'),
        ('source (tiny_source.py)', 'extraction batch'),
        ('adaptation (tiny_dsc.py)', 'training step'),
        ('adaptation (tiny_dsc.py)', 'extraction batch'),
    ]
    checks = {f.check for f in diagnosis.findings}
    assert checks >= {
        'packages', 'accelerator', 'resources', 'published counts', 'frames', 'duplicates', 'foreign frames',
        'balance', 'left out', 'overlap', 'memory forecast', 'time forecast', 'disk forecast',
    }  # fmt: skip
    frames = [f for f in diagnosis.findings if f.check == 'frames']
    assert all(f.message.endswith('mostly 32x16)') for f in frames)


def test_bad_frames_break_it_unless_the_policy_goes_on(worlds):
    folder, config = worlds
    frames = HITSZVCM(folder / 'hitsz', 'train', expected_statistics=None).tracklets[0].frames
    (folder / 'hitsz' / frames[2]).unlink()
    found = diagnose(config, FAST)
    assert severities(found, Severity.BROKEN) == {('frames', 'hitsz_vcm')}
    assert found.exit_code() == 2
    [finding] = [f for f in found.findings if f.severity is Severity.BROKEN]
    assert finding.details == (f'{frames[2]}: missing',)
    tolerant = diagnose(config, DoctorOptions(check_batches=False, config_options={'on_bad_frame': 'substitute'}))
    assert severities(tolerant, Severity.BROKEN) == set()
    assert ('frames', 'hitsz_vcm') in severities(tolerant, Severity.WARNING)


def test_shared_people_break_it(worlds):
    folder, config = worlds
    info = folder / 'hitsz/info/track_test_info.txt'
    lines = info.read_text().splitlines()
    fields = lines[0].split()
    info.write_text('\n'.join([' '.join([*fields[:3], '1', fields[4]]), *lines[1:]]))
    found = diagnose(config, FAST)
    assert severities(found, Severity.BROKEN) == {('overlap', 'hitsz_vcm')}
    assert ('foreign frames', 'hitsz_vcm test') in severities(found, Severity.WARNING)


def test_a_foreign_frame_of_bupt_is_a_warning(worlds):
    folder, config = worlds
    index = folder / 'bupt/data_paths.json'
    data = json.loads(index.read_text())
    pids = sorted(data)
    cameras = [data[pid]['RGB'] for pid in pids[:2]]
    here, there = (next(iter(next(iter(c.values())).values())) for c in cameras)
    here[3] = there[3]
    index.write_text(json.dumps(data))
    found = diagnose(config, FAST)
    assert ('foreign frames', 'bupt_campus train') in severities(found, Severity.WARNING)
    [finding] = [f for f in found.findings if f.check == 'foreign frames' and f.severity is Severity.WARNING]
    assert finding.message.startswith('1 tracklets list 1 frames')
    assert 'by person' in finding.message


def test_a_missing_root_and_a_malformed_index(worlds):
    folder, config = worlds
    shutil.rmtree(folder / 'bupt')
    (folder / 'hitsz/info/track_train_info.txt').write_text('1 2 3\n')
    found = diagnose(config, DoctorOptions(jobs=2))
    broken = {(f.check, f.subject) for f in found.findings if f.severity is Severity.BROKEN}
    assert broken == {
        ('index', f'bupt_campus in {folder / "bupt"}'),
        ('index', 'hitsz_vcm train'),
        ('dry batch', 'source (tiny_source.py)'),
        ('dry batch', 'adaptation (tiny_dsc.py)'),
        ('evaluation', 'source (tiny_source.py)'),
    }


def test_missing_weights_are_named_and_the_batch_is_tried_all_the_same(worlds):
    _, config = worlds
    source = config.with_name('tiny_source.py')
    options = {'model.backbone.tower.pretrained': 'gone.safetensors'}
    found = diagnose(source, DoctorOptions(jobs=2, check_files=False, config_options=options))
    assert severities(found, Severity.BROKEN) == {('weights', 'source (tiny_source.py)')}
    assert sum(f.check == 'dry batch' and f.severity is Severity.OK for f in found.findings) == 2


def test_a_source_stage_with_another_encoder_breaks_it(tiny_runs, tiny_experiment):
    options = {'model.backbone.num_heads': 4}
    found = severities(diagnose(tiny_runs.adapt, replace(FAST, config_options=options)), Severity.BROKEN)
    assert found == {('weights', 'adaptation (tiny_dsc.py)')}
    named = options | {'source.checkpoint': str(tiny_experiment.source_checkpoint)}
    messages = [f.message for f in diagnose(tiny_runs.adapt, replace(FAST, config_options=named)).findings]
    assert not any('its source stage' in message for message in messages)


def test_a_config_that_does_not_exist(tmp_path):
    with pytest.raises(ConfigError, match='no such config'):
        diagnose(tmp_path / 'none.py')


HOOK = dict(
    type='ClusterHook',
    pipeline=[],
    labelers=[dict(type='ClusterLabeler'), dict(begin_epoch=1, cycle=[dict(type='DSLULabeler')])],
)


def test_a_labelling_that_cannot_fit_is_broken_one_that_may_not_is_a_warning(monkeypatch):
    measure = StageMeasure(1000, 32, dict.fromkeys(Modality, 3000), None, None)
    monkeypatch.setattr(forecast, 'free_gpu_memory', lambda: None)
    needed = forecast.forecast_round([ClusteringProblem(3000, 64)] * 2, NeighborSearch()).host_bytes
    cases = [
        (None, Severity.OK),
        (10**10, Severity.OK),
        (needed, Severity.OK),
        (needed - 1, Severity.WARNING),
        (needed // 2 - 1, Severity.BROKEN),
    ]
    for free, severity in cases:
        monkeypatch.setattr(forecast, 'free_memory', lambda swap, free=free: free)
        finding = check_memory(measure, HOOK, 'x')
        assert finding.severity is severity, finding
        assert ('smaller k1' in finding.message) is (severity > Severity.INFO)
    assert check_memory(measure, dict(HOOK, labelers=[dict(type='CameraLabeler')]), 'x') is None


def test_time_counts_what_is_slower_and_disk_three_checkpoints():
    train, extraction = BatchMeasure(8, 3.0, 1.0), BatchMeasure(10, 0.0, 1.0)
    measure = StageMeasure(10**6, 32, dict.fromkeys(Modality, 50), train, extraction, iterations=4, epochs=2)
    # 4 steps of loading and computing, and 100 tracklets to extract per epoch; 20 tracklets to test
    message = check_time(measure, 20, 'x').message
    assert message.startswith('54.0 s for 2 epochs and one evaluation: an epoch takes extraction 10.0 s')
    assert message.endswith('training 16.0 s; one evaluation 2.0 s')
    assert check_disk(10**6, 'x', 36 * 10**6).severity is Severity.OK
    assert check_disk(10**6, 'x', 36 * 10**6 - 1).severity is Severity.WARNING


def test_findings_come_one_by_one(worlds):
    _, config = worlds
    seen = []
    found = diagnose(config, FAST, seen.append)
    assert [len(part.findings) for part in seen] == list(range(1, len(found.findings) + 1))
    assert seen[-1].findings == found.findings
    assert (seen[-1].complete, found.complete) == (False, True)


def test_logs_are_silent_even_if_a_logger_was_used_before(worlds, capfd):
    """As when MMEngine says which environment variables a config reads."""
    _, config = worlds
    logger = MMLogger.get_instance('before')
    logger.info('used before')
    level = logger.level
    capfd.readouterr()
    diagnose(config, FAST)
    assert ''.join(capfd.readouterr()) == ''
    logger.info('used after')
    assert 'used after' in ''.join(capfd.readouterr())
    assert MMLogger.get_instance('before').level == level


def test_weights_are_read_without_batches_too(worlds):
    _, config = worlds
    source = config.with_name('tiny_source.py')
    options = DoctorOptions(
        check_batches=False,
        check_files=False,
        config_options={'model.backbone.tower.pretrained': 'gone.safetensors'},
    )
    found = diagnose(source, options)
    assert severities(found, Severity.BROKEN) == {('weights', 'source (tiny_source.py)')}
    assert found.exit_code() == 2
    named = {'source.checkpoint': 'gone.pth'}
    found = diagnose(config, DoctorOptions(check_batches=False, check_files=False, config_options=named))
    assert severities(found, Severity.BROKEN) == {('weights', 'adaptation (tiny_dsc.py)')}


def test_a_missing_root_is_one_finding_that_names_the_variable_of_the_config(tmp_path, monkeypatch):
    for name in ('HITSZ', 'BUPT'):
        monkeypatch.setenv(f'DSCREID_SYNTHETIC_{name}', str(tmp_path / name.lower()))
    config = Path(__file__).parents[2] / 'configs/dsc/dsc_demo.py'
    found = diagnose(config, DoctorOptions(check_batches=False))
    missing = {f.subject: f.remedy for f in found.findings if f.check == 'index'}
    assert len(missing) == 2
    for subject, remedy in missing.items():
        assert f'variable DSCREID_SYNTHETIC_{subject.split("/")[-1].upper()} ' in remedy
        assert 'DSCREID_HITSZ_VCM' not in remedy


def test_unknown_people_are_not_shared(worlds):
    folder, config = worlds
    for split in ('train', 'test'):
        info = folder / f'hitsz/info/track_{split}_info.txt'
        *lines, last = info.read_text().splitlines()
        fields = last.split()
        info.write_text('\n'.join([*lines, ' '.join([*fields[:3], '-1', fields[4]])]))
    found = diagnose(config, FAST)
    assert severities(found, Severity.BROKEN) == set()
    [overlap] = [f for f in found.findings if f.check == 'overlap' and 'hitsz' in f.subject]
    assert overlap.severity is Severity.OK


def test_an_evaluation_that_cannot_work_is_broken(worlds):
    folder, config = worlds
    info = folder / 'hitsz/info/track_test_info.txt'
    info.write_text(''.join(f'{line.rsplit(" ", 1)[0]} 1\n' for line in info.read_text().splitlines()))
    found = diagnose(config, FAST)
    assert severities(found, Severity.BROKEN) == {('evaluation', 'adaptation (tiny_dsc.py)')}
    [finding] = [f for f in found.findings if f.severity is Severity.BROKEN]
    assert 'has a true match among the 12 gallery tracklets of other cameras' in finding.message


def test_a_query_that_stands_in_its_gallery_is_a_warning(worlds):
    folder, config = worlds
    first = (folder / 'bupt/query.txt').read_text().splitlines()[0]
    gallery = folder / 'bupt/gallery.txt'
    gallery.write_text(gallery.read_text() + f'{first}\n{first}\n')
    found = diagnose(config, FAST)
    warned = severities(found, Severity.WARNING)
    assert {('repeated tracklets', 'bupt_campus test'), ('evaluation', 'source (tiny_source.py)')} <= warned
    [finding] = [f for f in found.findings if f.check == 'repeated tracklets' and f.severity]
    assert finding.message.startswith('1 index lines repeat an earlier line')
    assert '; 1 tracklets are listed twice' in finding.message


def keep_lines(path, keep):
    path.write_text(''.join(f'{line}\n' for line in path.read_text().splitlines() if keep(line)))


@pytest.mark.parametrize('left', ['visible', 'one'])
def test_one_modality_or_one_tracklet_is_a_sentence(worlds, left):
    folder, config = worlds
    info = folder / 'hitsz/info/track_train_info.txt'
    keep_lines(info, lambda line: line.startswith('2'))
    if left == 'one':
        info.write_text(info.read_text().splitlines()[0] + '\n')
    found = diagnose(config, DoctorOptions(jobs=2, check_files=False))
    broken = severities(found, Severity.BROKEN)
    assert {('balance', 'hitsz_vcm train'), ('dry batch', 'adaptation (tiny_dsc.py)')} <= broken
    [batch] = [f for f in found.findings if f.check == 'dry batch' and f.severity is Severity.BROKEN]
    assert 'and 0 infrared tracklets' in batch.message
    assert 'needs both modalities' in batch.message


def test_one_modality_left_by_bad_frames_is_a_sentence(worlds):
    folder, config = worlds
    dataset = HITSZVCM(folder / 'hitsz', 'train', expected_statistics=None)
    for row in dataset.indices('ir'):
        (folder / 'hitsz' / dataset.tracklets[row].frames[0]).unlink()
    options = {'on_bad_frame': 'skip_tracklet'}
    found = diagnose(config, DoctorOptions(jobs=2, config_options=options))
    broken = [f for f in found.findings if f.severity is Severity.BROKEN]
    assert {f.check for f in broken} == {'left out', 'dry batch'}
    assert any(f'skip_tracklet left out {len(dataset.indices("ir"))}' in f.message for f in broken)
    assert any('no infrared tracklet is left' in f.message for f in broken)
