"""Batch normalization over the batches of all processes."""

import torch
from mmengine.dist import all_reduce, get_world_size
from torch import Tensor, nn
from torch.nn import functional as F


class SynchronizedBatchNorm2d(nn.BatchNorm2d):
    """``BatchNorm2d`` that computes its training statistics over the global batch.

    In a single process it behaves like ``BatchNorm2d``. PyTorch's ``SyncBatchNorm`` does the same, but only on GPUs.
    All processes must call this module equally often.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor
    momentum: float

    def forward(self, input: Tensor) -> Tensor:
        """Normalize float (N, C, H, W)."""
        if not self.training or get_world_size() == 1:
            return super().forward(input)
        mean, variance, count = _statistics(input.detach())
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean.to(self.running_mean), self.momentum)
            unbiased = variance * (count / (count - 1))
            self.running_var.lerp_(unbiased.to(self.running_var), self.momentum)
        return _Normalize.apply(input, self.weight, self.bias, mean, variance, count, self.eps)


def _statistics(values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Compute the mean (C,), biased variance (C,) and count of each channel over all processes, in float32 or wider."""
    values = values.to(torch.promote_types(values.dtype, torch.float32))
    own_count = values.new_full((1,), values.numel() / values.shape[1])
    sums = torch.cat([values.sum(dim=(0, 2, 3)), own_count])
    all_reduce(sums)
    count = sums[-1]
    mean = sums[:-1] / count
    squares = (values - _over_channels(mean)).square().sum(dim=(0, 2, 3))
    all_reduce(squares)
    return mean, squares / count, count


class _Normalize(torch.autograd.Function):
    """``(x - mean) / sqrt(variance + eps) * weight + bias``, with statistics that depend on ``x`` of all processes."""

    @staticmethod
    def forward(ctx, values: Tensor, weight, bias, mean, variance: Tensor, count, eps: float) -> Tensor:
        scale = (variance + eps).rsqrt()
        ctx.save_for_backward(values, weight, mean, scale, count)
        return F.batch_norm(values, mean, variance, weight, bias, training=False, eps=eps)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, ...]:
        values, weight, mean, scale, count = ctx.saved_tensors
        gradient = gradient.to(mean.dtype)
        normalized = (values.to(mean.dtype) - _over_channels(mean)) * _over_channels(scale)
        for_bias = gradient.sum(dim=(0, 2, 3))
        for_weight = (gradient * normalized).sum(dim=(0, 2, 3))
        means = torch.stack([for_bias, for_weight])
        all_reduce(means)
        means /= count
        for_values = gradient - _over_channels(means[0]) - normalized * _over_channels(means[1])
        for_values = for_values * _over_channels(weight * scale)
        return for_values.to(values.dtype), for_weight, for_bias, None, None, None, None


def _over_channels(values: Tensor) -> Tensor:
    return values[None, :, None, None]
