"""Wrong labels on purpose, to study training with them."""

import numpy as np

from dscreid.errors import ConfigError


def with_label_noise(labels: np.ndarray, groups: np.ndarray, rate: float, seed: int = 0) -> np.ndarray:
    """Replace a share of the labels of each group by another of its labels (DART's symmetric noise).

    Args:
        labels: int64 (N,).
        groups: (N,), such as the modality of each sample.
        rate: Share of the samples of a group, rounded up, that get another label, in [0, 1).
        seed: Seed of the draw.

    Returns:
        int64 (N,), a copy.

    Raises:
        ConfigError: If the rate is out of range, or a group has only one label.
    """
    if not 0 <= rate < 1:
        raise ConfigError(f'label_noise must be a share in [0, 1), got {rate}')
    rng, noisy = np.random.default_rng(seed), labels.copy()
    for group in np.unique(groups) if rate else ():
        rows = np.flatnonzero(groups == group)
        known = np.unique(labels[rows])
        if len(known) < 2:
            raise ConfigError('label_noise needs at least two identities in each modality')
        chosen = rng.choice(rows, int(np.ceil(rate * len(rows))), replace=False)
        # one of the others: a step of 1 to len(known) - 1 from the own place
        steps = rng.integers(1, len(known), size=len(chosen))
        noisy[chosen] = known[(np.searchsorted(known, labels[chosen]) + steps) % len(known)]
    return noisy
