"""The batch of all processes together, of which each holds a part."""

from collections.abc import Sequence

import torch
from mmengine import dist
from torch import Tensor

from dscreid.structures import Modality, ReIDDataSample

_MODALITIES = tuple(Modality)
_NO_LABEL = -1


def gather_batch(
    static: Tensor, dynamic: Tensor, data_samples: Sequence[ReIDDataSample]
) -> tuple[Tensor, Tensor, Sequence[ReIDDataSample]]:
    """Features and facts of the global batch, in the order in which a single process would hold them.

    All processes must compute one and the same loss from the result, on weights that are equal everywhere. Its
    gradient with respect to a process's own features then comes back times the number of processes, so that the mean
    over processes that ``DistributedDataParallel`` takes is the gradient of that loss: for the weights in front of
    the gathering, of which each process has a part, and for those behind, of which each has the whole.

    Args:
        static: float (n, D), this process's features, as many as every other's.
        dynamic: float (n, D), likewise.
        data_samples: n data samples with ``index``, ``modality`` and ``position``, and a ``label`` in all or none.
            Where a tracklet's position comes again, it is its next view.

    Returns:
        Features (N, D) and N data samples with ``index``, ``modality``, ``position`` and the ``label`` where there is
        one: all first views by position, then all second views, and so on. A single process gets what it gave.
    """
    world_size = dist.get_world_size()
    if world_size == 1:
        return static, dynamic, data_samples
    keys = torch.cat(dist.all_gather(torch.tensor(_keys(data_samples)))).tolist()
    order = sorted(range(len(keys)), key=keys.__getitem__)
    width = static.shape[1]
    features = _Gather.apply(torch.cat([static, dynamic], dim=1))[torch.tensor(order, device=static.device)]
    return features[:, :width], features[:, width:], [_sample(*keys[row]) for row in order]


class _Gather(torch.autograd.Function):
    """Rows of all processes one after another; see :func:`gather_batch` for the gradient."""

    @staticmethod
    def forward(ctx, rows: Tensor) -> Tensor:
        ctx.num_rows = len(rows)
        return torch.cat(dist.all_gather(rows.contiguous()))

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        rank, world_size = dist.get_dist_info()
        return gradient[rank * ctx.num_rows : (rank + 1) * ctx.num_rows] * world_size


def _keys(data_samples: Sequence[ReIDDataSample]) -> list[list[int]]:
    """(view, position, index, modality, label) of each data sample."""
    views: dict[int, int] = {}
    keys = []
    for sample in data_samples:
        view = views[sample.position] = views.get(sample.position, -1) + 1
        modality = _MODALITIES.index(Modality(sample.modality))
        keys.append([view, sample.position, sample.index, modality, sample.get('label', _NO_LABEL)])
    return keys


def _sample(view: int, position: int, index: int, modality: int, label: int) -> ReIDDataSample:
    facts = {'index': index, 'modality': _MODALITIES[modality].value, 'position': position}
    return ReIDDataSample(metainfo=facts if label == _NO_LABEL else facts | {'label': label})
