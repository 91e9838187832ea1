"""Gather the global batch, of which each process holds a part."""

from collections import Counter
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
    """Gather features and data samples of the global batch, in the order a single process would have.

    All processes must compute the same loss from the result. The gradient of a process's own features is multiplied by
    the number of processes, so that the mean taken by ``DistributedDataParallel`` is the gradient of that loss.

    Args:
        static: This process's static features, float (n, D); n must be equal on all processes.
        dynamic: This process's dynamic features, float (n, D).
        data_samples: n data samples with ``index``, ``modality``, ``position`` (repeated by the next view of a
            tracklet) and, all or none, ``label``.

    Returns:
        Static and dynamic features, each (N, D), and N data samples with only these fields: all first views by
        position, then all second views, and so on. A single process gets its inputs back.
    """
    world_size = dist.get_world_size()
    if world_size == 1:
        return static, dynamic, data_samples
    keys = torch.cat(dist.all_gather(torch.tensor(_keys(data_samples)))).tolist()
    order = sorted(range(len(keys)), key=keys.__getitem__)
    width = static.shape[1]
    rows = torch.tensor(order).to(static.device, non_blocking=True)
    features = _Gather.apply(torch.cat([static, dynamic], dim=1))[rows]
    return features[:, :width], features[:, width:], [_sample(*keys[row]) for row in order]


class _Gather(torch.autograd.Function):
    """Concatenate the rows of all processes; see :func:`gather_batch` for the gradient."""

    @staticmethod
    def forward(ctx, rows: Tensor) -> Tensor:
        ctx.num_rows = len(rows)
        return torch.cat(dist.all_gather(rows.contiguous()))

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        rank, world_size = dist.get_dist_info()
        return gradient[rank * ctx.num_rows : (rank + 1) * ctx.num_rows] * world_size


def _keys(data_samples: Sequence[ReIDDataSample]) -> list[list[int]]:
    """Return (view, position, index, modality, label) of each data sample."""
    views: Counter[int] = Counter()
    keys = []
    for sample in data_samples:
        modality = _MODALITIES.index(Modality(sample.modality))
        keys.append([views[sample.position], sample.position, sample.index, modality, sample.get('label', _NO_LABEL)])
        views[sample.position] += 1
    return keys


def _sample(view: int, position: int, index: int, modality: int, label: int) -> ReIDDataSample:
    facts = {'index': index, 'modality': _MODALITIES[modality].value, 'position': position}
    return ReIDDataSample(metainfo=facts if label == _NO_LABEL else facts | {'label': label})
