"""Losses of DART (Yang et al., CVPR 2022) for labels that may be wrong: pure functions and modules."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.mixture import GaussianMixture
from torch import Tensor

from dscreid.errors import ConfigError
from dscreid.models.losses.alignment import draw_partners
from dscreid.models.losses.labeled_batch import LabeledBatch
from dscreid.models.losses.supervised import BatchLoss
from dscreid.models.losses.triplets import euclidean
from dscreid.models.precision import full_precision
from dscreid.registry import MODELS


def clean_probabilities(losses: np.ndarray, seed: int = 0) -> np.ndarray:
    """Estimate the probability that each label is correct from the losses of the samples.

    Two Gaussians are fitted to the losses, scaled to [0, 1]; the probability is that of the one with the smaller mean.

    Args:
        losses: float (N,), finite.
        seed: Seed of the fit.

    Returns:
        float64 (N,) in [0, 1]; all 1 if the losses are equal.
    """
    losses = np.asarray(losses, dtype=np.float64)
    if not len(losses) or losses.min() == losses.max():
        return np.ones(len(losses))
    scaled = ((losses - losses.min()) / (losses.max() - losses.min()))[:, None]
    mixture = GaussianMixture(n_components=2, max_iter=100, tol=1e-2, reg_covar=5e-4, random_state=seed).fit(scaled)
    return mixture.predict_proba(scaled)[:, mixture.means_.argmin()]


def robust_triplet(
    features: Tensor,
    labels: Tensor,
    predictions: Tensor,
    confident: Tensor,
    generator: torch.Generator,
    margin: float = 0.3,
) -> Tensor:
    """Compute DART's triplet loss, which pairs samples anew if their labels are probably wrong.

    Each confident anchor has a random other row ``p`` of its identity and the nearest row ``n`` of another one. A row
    ``n`` that is not confident and is predicted to be the anchor's identity is a *false negative*. With
    ``D(a, b) = max(0, margin + a - b)`` and Euclidean distances ``d``, the loss is the mean over anchors of

    * ``D(d_p, d_n)`` if ``p`` is confident and ``n`` is no false negative,
    * ``D((d_p + d_n) / 2, d_n')`` if ``p`` is confident and ``n`` a false negative; ``n'`` is the next nearest row of
      another identity that is confident, or, if none is, the next nearest,
    * ``D(d_p', (d_p + d_n) / 2)`` if ``p`` is not confident and ``n`` is no false negative; ``p'`` is a random
      confident row of the anchor's identity, or, if there is none, the anchor itself,
    * ``D(d_n, d_p)`` if ``p`` is not confident and ``n`` a false negative.

    Args:
        features: float (B, D).
        labels: int64 (B,).
        predictions: int64 (B,), predicted identities.
        confident: bool (B,), whether a label is probably correct.
        generator: Generator on the CPU for the random rows.
        margin: Margin of the triplets.

    Returns:
        Scalar; a differentiable 0 without a confident anchor that has both kinds of partners.
    """
    with torch.autocast(features.device.type, enabled=False):
        features = full_precision(features)
        distances = euclidean(features, features)
        itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
        same = (labels[:, None] == labels[None, :]) & ~itself
        other = labels[:, None] != labels[None, :]
        p = draw_partners(same, generator)
        p_again = draw_partners(same & confident, generator)
        n = _nearest(distances, other)
        rest = other & ~F.one_hot(n, len(labels)).bool()
        n_next = torch.where(
            (rest & confident).any(dim=1), _nearest(distances, rest & confident), _nearest(distances, rest)
        )
        n_next = torch.where(rest.any(dim=1), n_next, n)

        d_p, d_n, d_p_again, d_n_next = (distances.gather(1, rows[:, None])[:, 0] for rows in (p, n, p_again, n_next))
        false_negative = ~confident[n] & (predictions[n] == labels)
        mean = (d_p + d_n) / 2
        near = torch.where(
            confident[p], torch.where(false_negative, mean, d_p), torch.where(false_negative, d_n, d_p_again)
        )
        far = torch.where(
            confident[p], torch.where(false_negative, d_n_next, d_n), torch.where(false_negative, d_p, mean)
        )
        used = confident & same.any(dim=1) & other.any(dim=1)
        return (margin + near - far).clamp(min=0).masked_fill(~used, 0).sum() / used.sum().clamp(min=1)


def _nearest(distances: Tensor, candidates: Tensor) -> Tensor:
    return distances.masked_fill(~candidates, torch.inf).argmin(dim=1)


@MODELS.register_module()
@dataclass(eq=False, repr=False)
class CleanIdentityLoss(BatchLoss):
    """Cross entropy of a head's logits, (R, C), each row times the probability that its label is correct (DART)."""

    part: str = 'static_head'  #: output of the head
    clean: str = 'clean_static'  #: part with the probabilities, (R,)

    @property
    def reads(self) -> tuple[str, ...]:
        """The parts of a batch that the loss reads."""
        return (self.part, self.clean)

    def forward(self, batch: LabeledBatch) -> Tensor:
        """Compute the mean over all rows."""
        losses = F.cross_entropy(batch.part(self.part).float(), batch.labels, reduction='none')
        return (batch.part(self.clean) * losses).mean()


@MODELS.register_module()
@dataclass(eq=False, repr=False)
class RobustTripletLoss(BatchLoss):
    """Triplet loss of DART; see ``robust_triplet``."""

    head: str = 'static_head'  #: output of the head whose largest logit is the prediction
    clean: str = 'clean_static'  #: part with the probabilities that labels are correct, (R,)
    margin: float = 0.3  #: not negative
    threshold: float = 0.5  #: smallest probability of a confident label

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.margin < 0:
            raise ConfigError(f'{type(self).__name__}: margin must be at least 0, got {self.margin}')

    @property
    def reads(self) -> tuple[str, ...]:
        """The parts of a batch that the loss reads."""
        return (self.part, self.head, self.clean)

    def forward(self, batch: LabeledBatch) -> Tensor:
        """Compute the loss over all rows."""
        predictions = batch.part(self.head).argmax(dim=1)
        confident = batch.part(self.clean) >= self.threshold
        generator = torch.Generator().manual_seed(batch.seed)
        return robust_triplet(batch.part(self.part), batch.labels, predictions, confident, generator, self.margin)
