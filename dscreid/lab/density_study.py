"""Compare clustering settings chosen without labels with the best fixed ones. Reads the labels."""

import itertools
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.registry import init_default_scope

from dscreid.apis.config import config_name, fit_to_machine, load_config, require_keys
from dscreid.apis.inference import init_model
from dscreid.engine.extraction import cluster_hook_of, extract_features, extraction_loader, recalibrated_features
from dscreid.engine.runner import ReIDRunner
from dscreid.errors import ConfigError, DatasetError
from dscreid.neighbors.jaccard import jaccard_of_neighbors, nearest_tracklets
from dscreid.pseudo_labels import ClusteringSettings, ari_of_all, choose_for_same_people, dbscan
from dscreid.pseudo_labels.clustering.dbscan import cluster
from dscreid.pseudo_labels.descriptors import joined_halves
from dscreid.pseudo_labels.quality import quality
from dscreid.structures import Modality, TrackletFeatures
from dscreid.utils.progress import track

#: Usual settings in unsupervised re-identification: the defaults of a clustering.
FAMILY = ClusteringSettings()
#: Search space for the best fixed settings, which are selected with the labels.
GRID = {
    'k1': (2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 18, 20, 24, 28, 32, 36, 40),
    'k2': (1, 2, 3, 4, 6),
    'eps': (0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7),
    'min_samples': (2, 3, 4),
}


@dataclass(frozen=True)
class LabeledFeatures:
    """Features of N tracklets of one modality of a target's training split, and their true person ids, int (N,)."""

    features: TrackletFeatures
    pids: np.ndarray


@dataclass(frozen=True)
class Outcome:
    """Result of clustering with some settings."""

    settings: ClusteringSettings
    ari_all: float  # adjusted Rand index over all tracklets, with each outlier as a cluster of its own
    ari: float  # adjusted Rand index over labeled tracklets; NaN if there are none
    labeled: float  # fraction of labeled tracklets


def read_target(root: str | Path, config: str | Path, checkpoint: str | Path) -> dict[Modality, LabeledFeatures]:
    """Extract features of a target's training split as in the first labeling of an adaptation.

    Args:
        root: Root of the target in the config's layout.
        config: Config of an adaptation, with a ``ClusterHook``.
        checkpoint: Checkpoint of the source stage.

    Raises:
        ConfigError: If the config has no ``ClusterHook``.
        DatasetError: If the data cannot be read.
    """
    settings = load_config(config, {'data_root': str(root)})
    require_keys(settings, 'model', 'default_hooks')
    hook, reading = cluster_hook_of(settings), extraction_loader(settings)
    if hook is None or reading is None:
        name = config_name(settings)
        raise ConfigError(f'{name}: it has no ClusterHook (default_hooks.cluster); name an adaptation')
    fit_to_machine(settings)
    init_default_scope(settings.default_scope)
    model = init_model(settings, checkpoint, 'cuda' if torch.cuda.is_available() else 'cpu')
    loader = ReIDRunner.build_dataloader(reading, seed=0)
    dataset: Any = loader.dataset
    if hook.get('recalibrate_necks', True):
        features = recalibrated_features(model, loader)
    else:
        features = extract_features(model, loader, model.embed)
    pids, static, dynamic = dataset.read_ground_truth(), features.static.cpu(), features.dynamic.cpu()
    rows = {modality: dataset.indices(modality) for modality in Modality}
    return {m: LabeledFeatures(TrackletFeatures(static[at], dynamic[at]), pids[at]) for m, at in rows.items()}


def outcome(joined: torch.Tensor, pids: np.ndarray, settings: ClusteringSettings) -> Outcome:
    """Cluster float (N, D) with the given settings and compare with int (N,) true ids."""
    labels = cluster(joined, settings)
    with warnings.catch_warnings():
        # scikit-learn mistakes many small clusters for a regression problem
        warnings.filterwarnings('ignore', 'The number of unique classes', UserWarning)
        values = quality(labels, pids)
    return Outcome(settings, ari_of_all(labels, pids), values['ari'], values['labelled'])


def best_fixed(joined: torch.Tensor, pids: np.ndarray, grid: Mapping[str, Sequence] = GRID) -> ClusteringSettings:
    """Return the settings with the largest ARI of float (N, D) and true ids, int (N,). Ties go to the first."""
    if not len(joined):
        raise DatasetError('there are no tracklets to study')
    tried = {}
    features, rank = nearest_tracklets(joined, max(grid['k1']))
    pairs = [pair for pair in itertools.product(grid['k1'], grid['k2']) if pair[1] <= pair[0]]
    for k1, k2 in track(pairs, 'best fixed settings'):
        # computed once for all radii
        distance = jaccard_of_neighbors(features, rank, k1, k2, max(grid['eps']))
        for eps, min_samples in itertools.product(grid['eps'], grid['min_samples']):
            tried[k1, k2, eps, min_samples] = ari_of_all(dbscan(distance, eps, min_samples), pids)
    return ClusteringSettings(*max(tried, key=lambda values: tried[values]))


def study_target(
    target: Mapping[Modality, LabeledFeatures], grid: Mapping[str, Sequence] = GRID
) -> dict[Modality, dict[str, Outcome]]:
    """Return ``{modality: {'best fixed': Outcome, 'family': Outcome, 'auto': Outcome}}``."""
    joined = {modality: joined_halves(part.features) for modality, part in target.items()}
    chosen = choose_for_same_people(list(joined.values()), [{}] * len(joined))
    results = {}
    for (modality, part), choice in zip(target.items(), chosen, strict=True):
        data = joined[modality], part.pids
        ways = {'best fixed': best_fixed(*data, grid), 'family': FAMILY, 'auto': choice.settings}
        results[modality] = {way: outcome(*data, settings) for way, settings in ways.items()}
    return results


def study_markdown(
    targets: Mapping[str, Mapping[Modality, LabeledFeatures]], grid: Mapping[str, Sequence] = GRID
) -> str:
    """Format the study of targets by name as a Markdown table: one row per target, modality and kind of settings."""
    lines = [
        '| target | modality | tracklets, identities | settings | k1 / k2 / eps / min_samples '
        '| ARI of all | below the best | ARI of labeled | labeled |',
        '|---|---|---|---|---|---|---|---|---|',
    ]
    for name, target in targets.items():
        for modality, results in study_target(target, grid).items():
            pids = target[modality].pids
            size, best = f'{len(pids)}, {len(np.unique(pids))}', results['best fixed'].ari_all
            for way, result in results.items():
                chosen = result.settings
                lines.append(
                    f'| {name} | {modality.value} | {size} | {way} '
                    f'| {chosen.k1} / {chosen.k2} / {chosen.eps:g} / {chosen.min_samples} '
                    f'| {result.ari_all:.3f} | {best - result.ari_all:.3f} | {result.ari:.3f} | {result.labeled:.2f} |'
                )
    return '\n'.join(lines) + '\n'
