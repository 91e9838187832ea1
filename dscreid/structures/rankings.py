"""Features that tracklets can be ranked by: which halves, before or after the necks, and how they are scaled."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Ranking(NamedTuple):
    """A feature that tracklets are ranked by: its parts are scaled, then joined, and compared by inner product."""

    parts: tuple[str, ...]  #: of ``static`` and ``dynamic`` (raw), ``neck_static`` and ``neck_dynamic``
    normalized: bool = True  #: whether each part is L2-normalized


RANKINGS = {
    'neck_both': Ranking(('neck_static', 'neck_dynamic')),
    'neck_static': Ranking(('neck_static',)),
    'neck_dynamic': Ranking(('neck_dynamic',)),
    'raw_both': Ranking(('static', 'dynamic')),
    'raw_static': Ranking(('static',)),
    'raw_dynamic': Ranking(('dynamic',)),
    'vld': Ranking(('static', 'dynamic'), normalized=False),
}


def ranking_feature(name: str, *views: Mapping[str, Tensor]) -> Tensor:
    """Scale and join the parts of a ranking.

    Args:
        name: A key of ``RANKINGS``.
        views: Parts, float (N, D) each, by name; of several views, such as a tracklet and its mirror image, the scaled
            parts are averaged, and scaled again.

    Returns:
        float (N, D) or (N, 2 D).
    """
    ranking = RANKINGS[name]

    def scaled(part: Tensor) -> Tensor:
        return F.normalize(part, dim=1) if ranking.normalized else part

    columns = []
    for part in ranking.parts:
        own = [scaled(view[part]) for view in views]
        columns.append(own[0] if len(own) == 1 else scaled(sum(own[1:], own[0]) / len(own)))
    return torch.cat(columns, dim=1)
