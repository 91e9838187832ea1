"""Supervised contrastive loss inside a batch (Khosla et al., NeurIPS 2020)."""

import torch
import torch.nn.functional as F
from torch import Tensor


def supervised_contrastive_loss(features: Tensor, labels: Tensor, temperature: float = 0.1) -> Tensor:
    """Pull a batch's samples of one label together against all others, equation (2) of the paper ("out").

    Args:
        features: float (B, D); L2-normalised inside.
        labels: int64 (B,).
        temperature: Positive softmax temperature.

    Returns:
        Scalar: per anchor the mean over its positives of -log softmax over all other samples, averaged over the
        anchors that have a positive; 0, with a gradient of zeros, where none has.
    """
    features = F.normalize(features.float(), dim=1)
    itself = torch.eye(len(features), dtype=torch.bool, device=features.device)
    logits = (features @ features.t() / temperature).masked_fill(itself, float('-inf'))
    positives = (labels[:, None] == labels[None, :]) & ~itself
    counts = positives.sum(dim=1)
    anchors = counts > 0
    if not anchors.any():
        return features.sum() * 0
    # only the positives are read: the masked diagonal never enters the sum
    log_probabilities = logits.log_softmax(dim=1).masked_fill(~positives, 0.0)
    return -(log_probabilities.sum(dim=1)[anchors] / counts[anchors]).mean()
