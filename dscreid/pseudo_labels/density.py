"""Settings of the clustering, chosen from the density of the unlabeled tracklets themselves.

Everything that k-reciprocal Jaccard distances and DBSCAN ask for follows from one number: how many tracklets an
identity has. With ``k1`` near it, one ``eps`` serves all densities, since the Jaccard distance is relative to the
neighborhoods that it compares (``clustering_settings``). Three things that need no label tell the number:

1. Neighborhoods of exactly an identity's size are mutual: whoever is among my k nearest has me among its k nearest.
   Smaller ones cut identities at random, larger ones reach for whoever comes next, so the share of mutual neighbors
   has a kink at that size (``mutual_neighbors``).
2. The silhouette of the clusters, outliers counted as 0, is largest at about that size, whether or not sizes are even
   enough for a kink.
3. Near-duplicates, several tracklets of a person by one camera, make both speak for a part of an identity: such parts
   are tighter clusters than the identity. Then the clusters' own means are clustered in turn, far more than means
   without structure would be (``duplicates``).

The choice (:func:`choose_settings`) is the largest silhouette near the largest believable kink, or anywhere without
one, raised as long as the clusters are themselves clustered. Where two modalities show the same people, the clearer one
speaks for both (:func:`choose_for_same_people`). The rule and its constants were found on synthetic worlds
and held on unseen variations of them (``tools/analysis/density_study.py``); it has no published source.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from dscreid.neighbors.jaccard import nearest_tracklets
from dscreid.pseudo_labels.clustering_settings import ClusteringSettings, cluster_neighbors, settings_for
from dscreid.pseudo_labels.duplicates import size_of_whole
from dscreid.pseudo_labels.mutual_neighbors import mutual_neighbor_rates, neighborhood_scales
from dscreid.pseudo_labels.silhouette import MOST_JUDGED, mean_cluster_size, silhouette_of_all

#: Steps of a fifth to a half: fine enough where the adjusted Rand index is flat, near the size of the identities.
CANDIDATES = (2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 40, 56)
#: Neighbors whose mutuality is measured: kinks up to 56 show, and identities beyond do well with k1=56.
NEIGHBORS = 101
#: A neighborhood is believed to be of an identity's size if the silhouette there is this share of the largest one
#: and the mean cluster this share of the neighborhood. Chance kinks at large sizes fail both.
_SILHOUETTE_SHARE, _FILLED_SHARE = 0.6, 0.5
#: From a kink on, sizes up to this many times larger are compared: identities of uneven sizes want a little more.
_SCALE_REACH = 1.6
#: Silhouettes nearer than this are alike, and the smaller size is taken: too many neighbors merge people, too few only
#: split them.
_ALIKE = 0.01
#: Duplicates of duplicates, and once more.
_LEVELS = 3
#: Once the silhouette has fallen to this share of the largest, at two sizes on end, larger ones are not tried.
_HOPELESS_SHARE = 0.4


@dataclass(frozen=True)
class DensityChoice:
    """Settings and what led to them.

    Attributes:
        settings: The choice.
        silhouettes: Mean silhouette of the clusters, outliers counted as 0, by the ``k1`` tried.
        silent: Whether no ``k1`` tried gave two clusters, so that the choice is the smallest.
    """

    settings: ClusteringSettings
    silhouettes: dict[int, float] | None = None
    silent: bool = False

    @property
    def clarity(self) -> float:
        """Mean silhouette of the clusters of the chosen size; 0 where ``k1`` was given."""
        return (self.silhouettes or {}).get(self.settings.k1, 0.0)


def choose_for_same_people(
    parts: Sequence[Tensor | np.ndarray], fixed: Sequence[Mapping[str, float]]
) -> list[DensityChoice]:
    """Choose settings for several sets of tracklets, such as modalities, that show the same people.

    Each set is asked for itself. Then the one whose clusters have the largest silhouette decides for all: an identity's
    tracklets in another set are as many as the sets' sizes suggest.

    Args:
        parts: Float (N, D) features of each set, see :func:`choose_settings`.
        fixed: For each set the settings that are not open; none of them has a ``k1``.

    Returns:
        A choice for each set.

    Raises:
        ValueError: If features are not finite.
    """
    choices = [choose_settings(part, **given) for part, given in zip(parts, fixed, strict=True)]
    clearest = max(range(len(choices)), key=lambda place: choices[place].clarity)
    if choices[clearest].silent:
        return choices
    per_tracklet = choices[clearest].settings.k1 / len(parts[clearest])
    return [
        choice
        if place == clearest or choice.silent
        else replace(choice, settings=settings_for(max(2, round(per_tracklet * len(part))), **given))
        for place, (choice, part, given) in enumerate(zip(choices, parts, fixed, strict=True))
    ]


def choose_settings(
    features: Tensor | np.ndarray,
    k1: int | None = None,
    k2: int | None = None,
    eps: float | None = None,
    min_samples: int | None = None,
) -> DensityChoice:
    """Choose the settings that were left open.

    With ``k1`` given the others follow from it (:func:`settings_for`). Otherwise clusters are made for some
    fifteen sizes of neighborhood, each with the settings that belong to it, or with those given; while sizes are
    compared, an open ``min_samples`` is 2, so that it does not speak for any of them.

    Args:
        features: Float (N, D), torch (any device) or numpy; rows are L2-normalized inside.
        k1: Fixed value, None to choose.
        k2: Likewise.
        eps: Likewise.
        min_samples: Likewise.

    Returns:
        The choice; the same for the same features.

    Raises:
        ValueError: If features are not finite and ``k1`` is open.
    """
    if k1 is not None:
        return DensityChoice(settings_for(k1, k2, eps, min_samples))
    features, rank = nearest_tracklets(features, NEIGHBORS)
    scales = neighborhood_scales(mutual_neighbor_rates(rank))
    trials = list(_trials(features, rank, scales, k2, eps, min_samples or 2))
    silhouettes = {trial.k1: trial.silhouette for trial in trials}
    chosen = _beyond_duplicates(features, trials, _best(_near_scale(trials, scales)))
    settings = settings_for(chosen.k1, k2, eps, min_samples)
    return DensityChoice(settings, silhouettes, silent=not any(silhouettes.values()))


@dataclass(frozen=True)
class _Trial:
    """Clusters of one size of neighborhood, int64 (N,), and their mean silhouette."""

    k1: int
    labels: np.ndarray
    silhouette: float


def _trials(
    features: np.ndarray,
    rank: np.ndarray,
    scales: tuple[int, ...],
    k2: int | None,
    eps: float | None,
    min_samples: int,
) -> Iterator[_Trial]:
    """Trials of growing size, at least one, until they have become hopeless."""
    largest = max(len(rank) // 3, 2)
    best, hopeless = 0.0, 0
    for k1 in sorted({size for size in (*CANDIDATES, *scales) if size <= largest}):
        labels = cluster_neighbors(features, rank, settings_for(k1, k2, eps, min_samples))
        trial = _Trial(k1, labels, silhouette_of_all(features, labels, MOST_JUDGED))
        yield trial
        best = max(best, trial.silhouette)
        hopeless = hopeless + 1 if trial.silhouette < _HOPELESS_SHARE * best else 0
        if hopeless >= 2 and k1 > max(scales, default=0):
            return


def _best(trials: list[_Trial]) -> _Trial:
    """The smallest of the trials whose silhouette is about the largest, among those with a cluster if there are any."""
    trials = [trial for trial in trials if (trial.labels >= 0).any()] or trials
    enough = max(trial.silhouette for trial in trials) - _ALIKE
    return next(trial for trial in trials if trial.silhouette >= enough)


def _near_scale(trials: list[_Trial], scales: tuple[int, ...]) -> list[_Trial]:
    """The trials at the largest believable scale and a little beyond; all of them without one."""
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
    """The chosen trial, or one of larger neighborhoods while its clusters are only parts of larger ones."""
    if not chosen.silhouette:
        return chosen  # there are no clusters that could be parts
    for _ in range(_LEVELS):
        size = size_of_whole(features, chosen.labels)
        larger = [trial for trial in trials if trial.k1 > chosen.k1]
        if size is None or not larger:
            break
        chosen = _best([trial for trial in larger if trial.k1 >= size] or larger[-1:])
    return chosen
