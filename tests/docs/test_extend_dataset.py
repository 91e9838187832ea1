"""The dataset of docs/extend/dataset.md is trained on, packed and checked, with nothing registered elsewhere."""

import re
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from dscreid.apis.dry_run import plan_experiment
from dscreid.apis.train import RunOptions
from dscreid.datasets.packing import pack, plan_packing
from dscreid.datasets.storage import FrameFormat
from dscreid.errors import ConfigError
from dscreid.lab.dataset_checks import Severity
from dscreid.lab.doctor.datasets import examine_dataset
from dscreid.lab.doctor.stages import DatasetUse
from dscreid.registry import DATASETS

PAGE = Path(__file__).parents[2] / 'docs/extend/dataset.md'
SIZE = (32, 16)


@pytest.fixture
def page(tmp_path, monkeypatch):
    """The config of the page; its class is registered for one test."""
    module, config = re.findall(r'^```python\n(.*?)^```', PAGE.read_text(encoding='utf-8'), flags=re.M | re.S)
    (tmp_path / 'my_dataset.py').write_text(module)
    monkeypatch.syspath_prepend(tmp_path)
    yield config
    sys.modules.pop('my_dataset', None)
    DATASETS.module_dict.pop('FolderPerTracklet', None)


@pytest.fixture
def root(tmp_path):
    """Six people, two tracklets of four frames for each modality."""
    rng = np.random.default_rng(0)
    for split, people in (('train', range(1, 7)), ('test', range(7, 10))):
        for person in people:
            for number, (modality, camera) in enumerate((('rgb', 1), ('rgb', 2), ('ir', 3), ('ir', 4))):
                folder = tmp_path / f'mine/{split}/{modality}/{person:04d}_{camera}_{number:02d}'
                folder.mkdir(parents=True)
                for frame in range(4):
                    pixels = rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8)
                    cv2.imwrite(str(folder / f'{frame:03d}.jpg'), pixels)
    return tmp_path / 'mine'


@pytest.fixture
def dataset_class(page, monkeypatch):
    import my_dataset

    return my_dataset.FolderPerTracklet


def test_an_experiment_on_it_passes_a_dry_run(page, root, tiny_runs, tmp_path, monkeypatch):
    base = "_base_ = 'configs/dsc/dsc_bupt2hitsz.py'"
    assert base in page
    monkeypatch.setenv('MY_DATA', str(root))
    path = tmp_path / 'my_target.py'
    path.write_text(page.replace(base, f'_base_ = {str(tiny_runs.adapt)!r}'))
    plan = plan_experiment(path, RunOptions(work_dir=tmp_path / 'run'))
    assert 'FolderPerTracklet' in plan
    assert not (tmp_path / 'run').exists()


def test_labels_stay_out_of_an_unlabeled_split(dataset_class, root):
    labeled, unlabeled = (dataset_class(root, 'train', labelled=flag) for flag in (True, False))
    assert labeled.num_classes == 6
    assert len(labeled) == len(unlabeled) == 24
    assert all(tracklet.pid is None for tracklet in unlabeled.tracklets)
    people = unlabeled.read_ground_truth()[unlabeled.indices('rgb')]
    assert people.tolist() != sorted(people)


def test_it_is_packed_by_its_name(dataset_class, root, tmp_path):
    with pytest.raises(ConfigError, match='no generated infrared frames'):
        plan_packing('folder_per_tracklet', root, fake_ir=True)
    packed = tmp_path / 'packed'
    pack(plan_packing('folder_per_tracklet', root, FrameFormat(SIZE, encoding='raw', quality=None)), packed)
    for split in dataset_class.SPLITS:
        before, after = (dataset_class(folder, split) for folder in (root, packed))
        assert after.storage.frame_format is not None
        assert before.tracklets == after.tracklets
    with pytest.raises(ConfigError, match=r"unknown layout 'nobody'.*folder_per_tracklet.*custom_imports"):
        plan_packing('nobody', root)


def test_the_doctor_checks_it(dataset_class, root):
    use = DatasetUse('FolderPerTracklet', str(root), (dict(split='train'), dict(split='test')))
    findings = list(examine_dataset(use, jobs=1))
    assert {f.check for f in findings} >= {
        'index', 'published counts', 'frames', 'duplicates', 'foreign frames', 'balance', 'left out', 'overlap',
    }  # fmt: skip
    assert max(f.severity for f in findings) is Severity.INFO
    moved = root / 'train/rgb/0001_1_00'
    moved.rename(root / 'test/rgb/0001_1_00')
    next(moved.parent.glob('*/000.jpg')).write_bytes(b'')
    broken = {f.check for f in examine_dataset(use, jobs=1) if f.severity is Severity.BROKEN}
    assert broken == {'frames', 'overlap'}
