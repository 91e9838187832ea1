"""Settings for clustering with k-reciprocal Jaccard distances and DBSCAN."""

from dataclasses import dataclass
from numbers import Integral, Real
from types import MappingProxyType
from typing import Any

import numpy as np

from dscreid.errors import ConfigError

#: Value of a labeler's setting that is chosen from the density of the features in every call.
AUTO = 'auto'
#: Labeler arguments that a config sets once, as ``clustering=dict(...)``; see ``engine.common_settings``.
COMMON_CLUSTERING = MappingProxyType({name: f'clustering.{name}' for name in ('k1', 'k2', 'eps', 'min_samples')})
#: Those of the four settings that are given as numbers.
FixedSettings = dict[str, Any]


@dataclass(frozen=True)
class ClusteringSettings:
    """Settings of k-reciprocal Jaccard distances and DBSCAN, explained in ``ClusterLabeler``."""

    k1: int = 30
    k2: int = 6
    eps: float = 0.6
    min_samples: int = 4

    def __post_init__(self) -> None:
        whole = self.k1, self.k2, self.min_samples
        if (
            not all(isinstance(value, Integral) and not isinstance(value, bool) and value >= 1 for value in whole)
            or not isinstance(self.eps, Real)
            or not 0 < self.eps < 1
        ):
            raise ConfigError(
                f"k1, k2 and min_samples must be integers and at least 1, and eps in (0, 1), or '{AUTO}', got {self!r}"
            )

    def __str__(self) -> str:
        return f'k1={self.k1}, k2={self.k2}, eps={self.eps:g}, min_samples={self.min_samples}'


def fixed_settings(owner: str, **settings: Any) -> FixedSettings:
    """Return the settings of a labeler that are not ``'auto'``; raises ConfigError, beginning with ``owner``."""
    fixed = {name: value for name, value in settings.items() if value != AUTO}
    if unknown := sorted(set(settings) - set(COMMON_CLUSTERING)):
        raise ConfigError(f'{owner}: unknown setting {unknown}; known are {", ".join(COMMON_CLUSTERING)}')
    try:
        ClusteringSettings(**fixed)
    except ConfigError as error:
        raise ConfigError(f'{owner}: {error}') from None
    return fixed


def settings_for(
    k1: int, k2: int | None = None, eps: float | None = None, min_samples: int | None = None
) -> ClusteringSettings:
    """Derive the settings that are None for identities of ``k1`` tracklets."""
    return ClusteringSettings(
        k1=k1,
        k2=min(k1, int(np.clip(round(k1**0.5), 2, 4))) if k2 is None else k2,
        eps=0.55 if eps is None else eps,
        min_samples=int(np.clip(round(k1 / 4), 2, 4)) if min_samples is None else min_samples,
    )
