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
from dscreid.pseudo_labels import ClusteringSettings, ari_of_all, choose_for_same_people, dbscan, quality
from dscreid.pseudo_labels.clustering.dbscan import cluster
from dscreid.pseudo_labels.descriptors import joined_halves
from dscreid.structures import Modality, TrackletFeatures
from dscreid.utils.files import existing_file
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


def read_target(
    place: str | Path, config: str | Path, checkpoint: str | Path | None
) -> dict[Modality, LabeledFeatures]:
    """Read features of a target's training split as in the first labeling of an adaptation.

    Args:
        place: Root of the target in the config's layout, or a file written by :func:`save_target`.
        config: Config of an adaptation, with a ``ClusterHook``.
        checkpoint: Checkpoint of the source stage. May be None if ``place`` is a file.

    Raises:
        ConfigError: If there is no checkpoint, or the config has no ``ClusterHook``.
        DatasetError: If the data cannot be read.
    """
    place = Path(place)
    if place.suffix == '.npz':
        return _load_target(place)
    if checkpoint is None:
        raise ConfigError(f'{place}: features of a folder need a model; give --checkpoint')
    settings = load_config(config, {'data_root': str(place)})
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
    pids, static, dynamic = dataset.read_ground_truth().pids, features.static.cpu(), features.dynamic.cpu()
    rows = {modality: dataset.indices(modality) for modality in Modality}
    return {m: LabeledFeatures(TrackletFeatures(static[at], dynamic[at]), pids[at]) for m, at in rows.items()}


def save_target(target: Mapping[Modality, LabeledFeatures], path: str | Path) -> None:
    """Save a target's features and ids, so that the study can be repeated without the model."""
    arrays: dict[str, Any] = {}
    for modality, part in target.items():
        values = (part.features.static.numpy(), part.features.dynamic.numpy(), part.pids)
        arrays |= dict(zip(_names(modality), values, strict=True))
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **arrays)


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


def _names(modality: Modality) -> list[str]:
    """Names of the arrays of static features, dynamic features and person ids in a file."""
    return [f'{modality.value}_{part}' for part in ('s', 'd', 'pid')]


def _load_target(path: Path) -> dict[Modality, LabeledFeatures]:
    if existing_file(path) is None:
        raise DatasetError(f'{path}: no such file of features; --save writes one')
    try:
        with np.load(path) as archive:
            arrays = dict(archive)
    except Exception as error:  # a damaged archive can raise any exception, and pickled objects are refused
        reason = ' '.join(str(error).split())[:100]
        raise DatasetError(f'{path}: cannot be read ({reason}); write it again with --save') from error
    target = {}
    for modality in Modality:
        names = _names(modality)
        if missing := [name for name in names if name not in arrays]:
            raise DatasetError(f'{path}: lacks {", ".join(missing)}; write it again with --save')
        static, dynamic, pids = (arrays[name] for name in names)
        floats = static.ndim == 2 and static.dtype == dynamic.dtype == np.float32
        shaped = static.shape == dynamic.shape and pids.shape == static.shape[:1]
        if not (floats and shaped and pids.dtype.kind == 'i'):
            raise DatasetError(
                f'{path}: {names[0]} and {names[1]} must be float32 (N, D), {names[2]} integer (N,); write it again '
                'with --save'
            )
        if broken := np.count_nonzero(~np.isfinite(np.hstack([static, dynamic])).all(axis=1)):
            raise DatasetError(
                f'{path}: the features of {broken} of {len(static)} {modality.value} tracklets hold NaN or infinite '
                'values; check the weights and write it again with --save'
            )
        halves = TrackletFeatures(torch.from_numpy(static), torch.from_numpy(dynamic))
        target[modality] = LabeledFeatures(halves, pids)
    return target
