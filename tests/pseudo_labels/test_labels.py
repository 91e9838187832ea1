"""The container of pseudo labels."""

import numpy as np
import pytest

from dscreid.pseudo_labels import PseudoLabels
from dscreid.structures import Modality


def _labels(*values):
    return np.array(values, dtype=np.int64)


def test_counts_and_summary():
    labels = PseudoLabels(rgb=_labels(0, 0, 4, -1), ir=_labels(0, 1, 2, 3, 4, -1), shared=True)
    assert labels.num_clusters(Modality.RGB) == 2
    assert labels.num_clusters('ir') == 5
    assert labels.labelled_share(Modality.RGB) == 0.75
    assert labels.cluster_sizes(Modality.RGB).tolist() == [2, 1]
    summary = labels.summary()
    assert 'rgb 2 clusters of median size 1.5, 75.0% of 4 tracklets labelled' in summary
    assert summary.endswith('one shared numbering')


def test_nothing_labelled():
    labels = PseudoLabels(rgb=_labels(), ir=_labels(-1, -1), shared=False)
    assert labels.num_clusters(Modality.IR) == 0
    assert labels.labelled_share(Modality.RGB) == 0
    assert 'ir 0 clusters, 0.0% of 2 tracklets labelled; separate numberings' in labels.summary()


def test_refuses_bad_labels():
    with pytest.raises(TypeError, match='rgb labels'):
        PseudoLabels(rgb=np.zeros(3), ir=_labels(0), shared=False)
    with pytest.raises(TypeError, match='ir labels'):
        PseudoLabels(rgb=_labels(0), ir=[0], shared=False)
    with pytest.raises(ValueError, match='>= -1'):
        PseudoLabels(rgb=_labels(-2), ir=_labels(0), shared=False)
