"""Cameras of one's own, from tracklets to features: adapt, evaluate, check, bundle, infer."""

import re

import numpy as np
import pytest
from own_cameras import make_tracklet_folder

from dscreid.apis import load_config
from dscreid.apis.train import RunOptions, run_experiment
from dscreid.datasets import TrackletFolder
from dscreid.deployment import TrackletInferencer, make_bundle
from dscreid.evaluation import load_features
from dscreid.lab.doctor import DoctorOptions, diagnose


def options_for(root, **changes):
    """Overrides that exchange the tiny target for tracklets of own cameras."""
    options = {f'{loader}.dataset.type': 'TrackletFolder' for loader in ('train_dataloader', 'test_dataloader')}
    options |= {'val_dataloader.dataset.type': 'TrackletFolder', 'data_root': str(root)}
    options |= {f'{stage}_evaluator.protocol': 'cross_modal' for stage in ('val', 'test')}
    return options | changes


def adapt(tiny_runs, tiny_experiment, root, work_dir):
    source = tiny_experiment.source_checkpoint
    options = RunOptions(work_dir=work_dir, source_checkpoint=source, config_options=options_for(root))
    return run_experiment(tiny_runs.adapt, options)


@pytest.mark.slow
def test_tracklets_with_persons_are_adapted_to_and_evaluated(tiny_runs, tiny_experiment, tmp_path):
    root = make_tracklet_folder(tiny_runs.hitsz, tmp_path / 'own')
    found = adapt(tiny_runs, tiny_experiment, root, tmp_path / 'run')
    assert set(found) >= {'rgb2ir/mAP', 'ir2rgb/mAP', 'mean/mAP'}
    assert 0 < found['mean/mAP'] <= 1


@pytest.mark.slow
def test_tracklets_without_persons_are_adapted_to_and_searched(tiny_runs, tiny_experiment, tmp_path):
    root = make_tracklet_folder(tiny_runs.hitsz, tmp_path / 'own', persons=False)
    found = adapt(tiny_runs, tiny_experiment, root, tmp_path / 'run')
    assert dict(found) == {}
    assert 'no tracklet has a person id' in found.reason
    config = load_config(tiny_runs.adapt, options_for(root))
    notes = dict(license='for tests only', training_data='rendered worlds')
    bundle = make_bundle(config, tmp_path / 'run/epoch_2.pth', tmp_path / 'bundle', **notes)
    features = TrackletInferencer(bundle)(TrackletFolder(root, 'test', labelled=False))
    written = load_features(tmp_path / 'run/features.safetensors')
    # the table's order differs with labels, so compare as sets of rows
    one, other = (np.sort(rows.round(4), axis=0) for rows in (features, written.feature / np.sqrt(2)))
    np.testing.assert_allclose(one, other, atol=2e-4)


def test_both_splits_can_be_everything(tiny_runs, tmp_path):
    root = make_tracklet_folder(tiny_runs.hitsz, tmp_path / 'own', persons=False)
    table = root / 'tracklets.csv'
    table.write_text(
        re.sub(
            r',(train|test|split)$', lambda cell: ',split' if cell[1] == 'split' else ',', table.read_text(), flags=re.M
        )
    )
    options = DoctorOptions(config_options=options_for(root), work_dir=tmp_path, check_batches=False)
    findings = diagnose(tiny_runs.adapt, options).findings
    assert [finding.message for finding in findings if finding.severity.name == 'BROKEN'] == []
    assert any('puts tracklets in several splits' in finding.message for finding in findings)


@pytest.mark.parametrize('persons', [True, False])
def test_the_doctor_examines_them(tiny_runs, tmp_path, persons):
    root = make_tracklet_folder(tiny_runs.hitsz, tmp_path / 'own', persons)
    options = DoctorOptions(config_options=options_for(root), work_dir=tmp_path)
    findings = diagnose(tiny_runs.adapt, options).findings
    broken = [finding for finding in findings if finding.severity.name == 'BROKEN']
    assert broken == []
    assert any('tracklet_folder' in finding.subject for finding in findings)
