"""Supervised contrastive loss within a batch (Khosla et al., NeurIPS 2020)."""

import torch
import torch.nn.functional as F
from torch import Tensor


def supervised_contrastive_loss(features: Tensor, labels: Tensor, temperature: float = 0.1) -> Tensor:
    """Pull samples with the same label together and push all others apart, equation (2) of the paper ("out").

    Args:
        features: float (B, D), L2-normalized by this function.
        labels: int64 (B,).
        temperature: Softmax temperature, positive.

    Returns:
        Scalar loss. For each anchor, -log softmax over all other samples is averaged over its positives; the loss is
        the mean over the anchors that have a positive. It is 0, with a gradient of zeros, if no anchor has one.
    """
    features = F.normalize(features.float(), dim=1)
    itself = torch.eye(len(features), dtype=torch.bool, device=features.device)
    logits = (features @ features.t() / temperature).masked_fill(itself, float('-inf'))
    positives = (labels[:, None] == labels[None, :]) & ~itself
    counts = positives.sum(dim=1)
    anchors = counts > 0
    if not anchors.any():
        return features.sum() * 0
    # The diagonal holds -inf, but only positives enter the sum.
    log_probabilities = logits.log_softmax(dim=1).masked_fill(~positives, 0.0)
    return -(log_probabilities.sum(dim=1)[anchors] / counts[anchors]).mean()
