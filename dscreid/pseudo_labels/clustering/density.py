"""Clustering settings chosen from the density of the unlabeled tracklets.

All settings follow from the number of tracklets per identity, because the Jaccard distance is relative to the
neighborhoods it compares. Three label-free observations estimate this number:

1. Neighborhoods of the size of an identity are mutual: the share of mutual neighbors has a kink at that size.
2. The silhouette of the clusters, with outliers counted as 0, is largest near that size.
3. Near-duplicates, such as several tracklets of a person from one camera, form tighter clusters and mislead both. The
   cluster means are then themselves clustered, far more than by chance.

:func:`choose_settings` selects the largest silhouette near the largest plausible kink, or anywhere without a kink, and
increases the size as long as the clusters are themselves clustered. The rule has no published source. It was found on
synthetic worlds and confirmed on unseen variations of them (``tools/analysis/density_study.py``).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np
from mmengine.logging import print_log
from torch import Tensor

from dscreid.neighbors.jaccard import nearest_tracklets
from dscreid.neighbors.knn import Features
from dscreid.pseudo_labels.clustering.dbscan import cluster_neighbors
from dscreid.pseudo_labels.clustering.identity_sizes import mutual_neighbor_rates, neighborhood_scales, size_of_whole
from dscreid.pseudo_labels.clustering.settings import ClusteringSettings, FixedSettings, settings_for
from dscreid.pseudo_labels.clustering.silhouette import MOST_JUDGED, mean_cluster_size, silhouette_of_all
from dscreid.structures import Modality

#: Steps of 20 to 50 percent are fine enough, because the adjusted Rand index is flat near the size of the identities.
CANDIDATES = (2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 40, 56)
#: Number of neighbors checked for mutuality, which shows kinks up to 56.
NEIGHBORS = 101
#: Least silhouette of a plausible kink relative to the largest one, and least mean cluster size relative to its size.
_SILHOUETTE_SHARE, _FILLED_SHARE = 0.6, 0.5
#: From a kink on, sizes up to this factor are compared: identities of uneven sizes need slightly more.
_SCALE_REACH = 1.6
#: Silhouettes closer than this count as equal, and the smaller size wins, because too many neighbors merge people.
_ALIKE = 0.01
#: Maximum number of nested levels of duplicates.
_LEVELS = 3
#: Larger sizes are not tried once the silhouette is below this share of the largest one at two consecutive sizes.
_HOPELESS_SHARE = 0.4


@dataclass(frozen=True)
class DensityChoice:
    """Chosen settings and the evidence for them."""

    settings: ClusteringSettings
    #: Mean silhouette, with outliers counted as 0, for each ``k1`` tried.
    silhouettes: dict[int, float] = field(default_factory=dict)
    silent: bool = False  #: whether no ``k1`` gave two clusters, so that the smallest was chosen

    @property
    def clarity(self) -> float:
        """Silhouette at the chosen size; 0 if ``k1`` was given."""
        return self.silhouettes.get(self.settings.k1, 0.0)


def choose_for_same_people(parts: Sequence[Features], fixed: Sequence[FixedSettings]) -> list[DensityChoice]:
    """Choose settings for several sets of tracklets, such as modalities, that show the same people.

    The set whose clusters have the largest silhouette decides for all, in proportion to the sizes of the sets.
    ``parts`` are the float (N, D) features of each set; ``fixed``, the settings not chosen, must not contain ``k1``.
    """
    choices = [choose_settings(part, **given) for part, given in zip(parts, fixed, strict=True)]
    clearest = max(range(len(choices)), key=lambda place: choices[place].clarity)
    if choices[clearest].silent:
        return choices
    per_tracklet = choices[clearest].settings.k1 / len(parts[clearest])
    for place, (part, given) in enumerate(zip(parts, fixed, strict=True)):
        if place != clearest and not choices[place].silent:
            settings = settings_for(max(2, round(per_tracklet * len(part))), **given)
            choices[place] = replace(choices[place], settings=settings)
    return choices


def settings_of_modalities(
    fixed: Mapping[Modality, FixedSettings], descriptors: Mapping[Modality, Tensor]
) -> dict[Modality, ClusteringSettings]:
    """Choose and log settings for float (N, D) of each modality; if no ``k1`` is fixed, the clearer one decides."""
    if any('k1' in given for given in fixed.values()):
        return {m: chosen_settings(descriptors[m], fixed[m], m.value) for m in fixed}
    choices = choose_for_same_people([descriptors[m] for m in fixed], list(fixed.values()))
    return {m: _logged(choice, m.value) for m, choice in zip(fixed, choices, strict=True)}


def chosen_settings(descriptors: Tensor, fixed: FixedSettings, name: str | None = None) -> ClusteringSettings:
    """Complete settings with those chosen for float (N, D) descriptors, logged if these have a name."""
    if len(fixed) == len(fields(ClusteringSettings)):
        return ClusteringSettings(**fixed)
    return _logged(choose_settings(descriptors, **fixed), name)


def _logged(choice: DensityChoice, name: str | None) -> ClusteringSettings:
    if name is not None:
        note = ' (the smallest: no number of neighbors gives two clusters)' if choice.silent else ''
        print_log(f'clustering of {name}: {choice.settings}{note}', logger='current')
    return choice.settings


def choose_settings(
    features: Features,
    k1: int | None = None,
    k2: int | None = None,
    eps: float | None = None,
    min_samples: int | None = None,
) -> DensityChoice:
    """Choose the settings that are None.

    If ``k1`` is given, the others follow from it (:func:`settings_for`). Otherwise, clusters are computed for about
    fifteen sizes, with an open ``min_samples`` set to 2. Features are float (N, D), L2-normalized internally.
    """
    if k1 is not None:
        return DensityChoice(settings_for(k1, k2, eps, min_samples))
    rows, rank = nearest_tracklets(features, NEIGHBORS)
    scales = neighborhood_scales(mutual_neighbor_rates(rank))
    trials = list(_trials(rows, rank, scales, k2, eps, min_samples or 2))
    silhouettes = {trial.k1: trial.silhouette for trial in trials}
    chosen = _beyond_duplicates(rows, trials, _best(_near_scale(trials, scales)))
    settings = settings_for(chosen.k1, k2, eps, min_samples)
    return DensityChoice(settings, silhouettes, silent=not any(silhouettes.values()))


@dataclass(frozen=True)
class _Trial:
    """Clusters for one neighborhood size, int64 (N,), and their mean silhouette."""

    k1: int
    labels: np.ndarray
    silhouette: float


def _trials(
    features: np.ndarray, rank: np.ndarray, scales: tuple[int, ...], k2: int | None, eps: float | None, min_samples: int
) -> Iterator[_Trial]:
    best, hopeless = 0.0, 0
    for k1 in sorted(size for size in {*CANDIDATES, *scales} if size <= max(len(rank) // 3, 2)):
        labels = cluster_neighbors(features, rank, settings_for(k1, k2, eps, min_samples))
        trial = _Trial(k1, labels, silhouette_of_all(features, labels, MOST_JUDGED))
        yield trial
        best = max(best, trial.silhouette)
        hopeless = hopeless + 1 if trial.silhouette < _HOPELESS_SHARE * best else 0
        if hopeless >= 2 and k1 > max(scales, default=0):
            return


def _best(trials: list[_Trial]) -> _Trial:
    trials = [trial for trial in trials if (trial.labels >= 0).any()] or trials
    enough = max(trial.silhouette for trial in trials) - _ALIKE
    return next(trial for trial in trials if trial.silhouette >= enough)


def _near_scale(trials: list[_Trial], scales: tuple[int, ...]) -> list[_Trial]:
    """Trials at the largest plausible kink and slightly above it; all trials without such a kink."""
    enough = _SILHOUETTE_SHARE * max(trial.silhouette for trial in trials)
    believable = [
        trial.k1
        for trial in trials
        if trial.k1 in scales
        and trial.silhouette >= enough
        and mean_cluster_size(trial.labels) >= _FILLED_SHARE * trial.k1
    ]
    if not believable:
        return trials
    return [trial for trial in trials if 1 <= trial.k1 / max(believable) <= _SCALE_REACH]


def _beyond_duplicates(features: np.ndarray, trials: list[_Trial], chosen: _Trial) -> _Trial:
    """Move to larger neighborhoods while the clusters of the chosen trial are only parts of larger clusters."""
    for _ in range(_LEVELS if chosen.silhouette else 0):  # without a silhouette, no clusters could be parts
        size = size_of_whole(features, chosen.labels)
        larger = [trial for trial in trials if trial.k1 > chosen.k1]
        if size is None or not larger:
            break
        chosen = _best([trial for trial in larger if trial.k1 >= size] or larger[-1:])
    return chosen
