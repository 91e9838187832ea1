"""Evaluate features by the published protocols of image data sets, as a function of arrays."""

import re
from collections.abc import Callable, Sequence

import numpy as np
import torch

from dscreid.errors import ConfigError
from dscreid.evaluation.feature_file import MODALITY_CODES, FeatureTable
from dscreid.evaluation.protocols import find_protocol
from dscreid.evaluation.ranking import check_ranks
from dscreid.evaluation.scores import Features
from dscreid.evaluation.trials import average_trials, rank_trials
from dscreid.structures import Modality

#: Words in the paths of LLCM and RegDB that tell a picture's modality.
WORDS = {
    Modality.RGB: {'visible', 'vis', 'rgb'},
    Modality.IR: {'thermal', 'nir', 'ir'},
}
#: Modality of the cameras of SYSU-MM01 and RegDB.
SYSU_CAMERAS = {camera: Modality.IR if camera in (3, 6) else Modality.RGB for camera in range(1, 7)}
REGDB_CAMERAS = {1: Modality.RGB, 2: Modality.IR}


def evaluate_image_protocol(
    protocol: str,
    features: Features,
    pids: Sequence[int] | np.ndarray,
    cameras: Sequence[int] | np.ndarray,
    names: Sequence[str],
    ranks: Sequence[int] = (1, 5, 10, 20),
) -> dict[str, float]:
    """Evaluate features of all test pictures of both modalities, in any order, by a published image protocol.

    Features are compared by inner product as given, in float64; normalize the rows for a cosine ranking. Among equal
    similarities, the smaller person id comes first, then the smaller camera, then the name.

    Args:
        protocol: ``sysu_mm01_all_single``, ``sysu_mm01_indoor_single``, ``sysu_mm01_all_multi``,
            ``sysu_mm01_indoor_multi``, ``llcm_vis2nir``, ``llcm_nir2vis``, ``regdb_visible2thermal`` or
            ``regdb_thermal2visible``.
        features: Float (N, D).
        pids: Integer (N,), person ids from 0 on.
        cameras: Integer (N,), cameras as numbered by the owners. In SYSU-MM01, 3 and 6 are infrared.
        names: Paths of the pictures, all different, such as ``cam1/0006/0001.jpg``; draws depend on their order. In
            LLCM, they tell the modality (``test_vis/…``, ``test_nir/…``, or ``…_vis.jpg``), and in RegDB
            (``Visible/…``, ``Thermal/…``); where RegDB's do not, the camera does (1 visible, 2 thermal).
        ranks: Ranks of the CMC curve.

    Returns ``Rank-k``, ``mAP`` and ``mINP`` in [0, 1], means over the trials, and their population standard deviation,
    ``Rank-k std``, …, which is 0 in RegDB, where the pictures are those of one trial.

    Raises ConfigError for an unknown protocol, DatasetError if nothing can be measured, and ValueError if the arguments
    do not fit together.
    """
    modality_of = _modality_rule(protocol)
    sides = [np.asarray(values, dtype=np.int64) for values in (pids, cameras)]
    if not len(features) == len(sides[0]) == len(sides[1]) == len(names):
        sizes = ', '.join(str(len(part)) for part in (features, *sides, names))
        raise ValueError(f'features, pids, cameras and names differ in length: {sizes}')
    if len(set(names)) < len(names):
        raise ValueError('two pictures have one name; the draws need different names')
    order = sorted(range(len(names)), key=lambda row: (sides[0][row], sides[1][row], names[row]))
    modalities = [modality_of(names[row], int(sides[1][row])) for row in order]
    table = FeatureTable(
        feature=torch.as_tensor(features).detach().cpu().double()[order].numpy(),
        pid=sides[0][order],
        camera=sides[1][order],
        modality=np.array([MODALITY_CODES[modality] for modality in modalities], dtype=np.int64),
        is_query=np.zeros(len(order), dtype=bool),
        index=np.arange(len(order)),
    )
    directions = table.directions(protocol)
    if len(directions) > 1:
        raise ConfigError(f'{protocol} has the directions {" and ".join(directions)}; choose a protocol of one')
    (direction,) = directions.values()
    means, deviations = average_trials(rank_trials(table, direction), check_ranks(ranks))
    return means | {f'{name} std': value for name, value in deviations.items()}


def _modality_rule(protocol: str) -> Callable[[str, int], Modality]:
    """Choose how the modality of a picture follows from its name and camera in a protocol's data set."""
    find_protocol(protocol)
    rules = {
        'sysu_mm01': lambda name, camera: SYSU_CAMERAS.get(camera),
        'llcm': lambda name, camera: _named_modality(name),
        'regdb': lambda name, camera: _named_modality(name) or REGDB_CAMERAS.get(camera),
    }
    found = [rule for name, rule in rules.items() if protocol.startswith(name)]
    if not found:
        raise ConfigError(f'{protocol} is not a protocol of an image data set ({", ".join(rules)})')

    def modality_of(name: str, camera: int) -> Modality:
        modality = found[0](name, camera)
        if modality is None:
            raise ValueError(f'{name}, camera {camera}: neither tells the modality that {protocol} needs')
        return modality

    return modality_of


def _named_modality(name: str) -> Modality | None:
    words = set(re.split(r'[/_.]', name.lower()))
    told = [modality for modality, known in WORDS.items() if known & words]
    return told[0] if len(told) == 1 else None
