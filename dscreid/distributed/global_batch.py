"""Gather the global batch, of which each process holds a part."""

from collections import Counter
from collections.abc import Mapping, Sequence

import torch
from mmengine import dist
from torch import Tensor

from dscreid.structures import Modality, ReIDDataSample

_MODALITIES = tuple(Modality)
_NO_LABEL = -1


def gather_batch(
    parts: Mapping[str, Tensor], data_samples: Sequence[ReIDDataSample]
) -> tuple[dict[str, Tensor], Sequence[ReIDDataSample]]:
    """Gather features and data samples of the global batch, in the order a single process would have.

    All processes must compute the same loss from the result. The gradient of a process's own features is multiplied by
    the number of processes, so that the mean taken by ``DistributedDataParallel`` is the gradient of that loss.

    Args:
        parts: This process's features by name, float (v * n, ...); n must be equal on all processes. With v > 1, the n
            rows of the first version of each data sample come first, then those of the second version, and so on.
        data_samples: n data samples with ``index``, ``modality``, ``position`` (repeated by the next view of a
            tracklet) and, all or none, ``label``.

    Returns:
        The features, (v * N, ...) each, and N data samples with only these fields: all first views by position, then
        all second views, and so on. A single process gets its inputs back.
    """
    world_size = dist.get_world_size()
    if world_size == 1:
        return dict(parts), data_samples
    keys = torch.cat(dist.all_gather(torch.tensor(_keys(data_samples)))).tolist()
    order = sorted(range(len(keys)), key=keys.__getitem__)
    own = [_columns(part, len(data_samples)) for part in parts.values()]
    places = torch.tensor(order).to(own[0].device, non_blocking=True)
    rows = _Gather.apply(torch.cat(own, dim=1))[places]
    gathered = rows.split([columns.shape[1] for columns in own], dim=1)
    return (
        {name: _rows(columns, part) for (name, part), columns in zip(parts.items(), gathered, strict=True)},
        [_sample(*keys[row]) for row in order],
    )


def _columns(part: Tensor, num_samples: int) -> Tensor:
    """Put all versions of a data sample into one row: (v * n, ...) to (n, v * D)."""
    return part.unflatten(0, (-1, num_samples)).transpose(0, 1).flatten(1)


def _rows(columns: Tensor, part: Tensor) -> Tensor:
    """Undo ``_columns`` for a part of the given shape, except that of its rows."""
    return columns.unflatten(1, (-1, *part.shape[1:])).transpose(0, 1).flatten(0, 1)


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
