"""Whether features and the dataset of their pictures belong together."""

from dataclasses import replace

import numpy as np
import pytest

from dscreid.errors import DscreidError
from dscreid.visualization import ReportRun, check_features_belong


def check(dataset, table, **changes):
    check_features_belong(dataset, ReportRun('mine', {}, replace(table, **changes)))


def test_features_belong_by_person_camera_and_modality(dataset, features):
    table = features()
    check(dataset, table)
    for name, value in (('pid', 9), ('camera', 9), ('modality', 1), ('index', 32)):
        changed = getattr(table, name).copy()
        changed[0] = value
        with pytest.raises(DscreidError, match=r'"mine" .*another test set'):
            check(dataset, table, **{name: changed})


def test_features_without_person_ids_belong_to_a_test_set_without_them(dataset, features):
    unknown = np.full(32, -1)
    with pytest.raises(DscreidError, match='another test set'):
        check(dataset, features(), pid=unknown)
    dataset.tracklets = [replace(tracklet, pid=None) for tracklet in dataset.tracklets]
    check(dataset, features(), pid=unknown)
    with pytest.raises(DscreidError, match='another test set'):
        check(dataset, features())
