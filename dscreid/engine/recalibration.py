"""Recalibrate the necks to a domain's statistics and extract features in one pass over the data."""

from typing import Any

import torch
from torch.utils.data import DataLoader

from dscreid.engine.extraction import extract_features
from dscreid.errors import DatasetError
from dscreid.models.reid import BaseReID
from dscreid.structures import TrackletFeatures


@torch.no_grad()
def recalibrated_features(model: BaseReID, dataloader: DataLoader) -> TrackletFeatures:
    """Set the necks' statistics to those of a loader's raw features, and return the tracklets' features.

    Args:
        model: A model, not wrapped for distributed use. Its necks change; its training mode is restored.
        dataloader: See :func:`extract_features`.

    Returns:
        The features that :func:`extract_features` with ``model.embed`` would return afterwards. The encoder runs only
        once because necks act on raw features. With ``flip_test``, which averages after the necks, it runs twice.

    Raises:
        DatasetError: If the dataset has fewer than two tracklets.
    """
    dataset: Any = dataloader.dataset
    if len(dataset) < 2:
        raise DatasetError(
            f'{dataset.root}: the necks cannot be recalibrated on split {dataset.split!r}, which has {len(dataset)} '
            'tracklet; statistics need at least two, so check the index files, min_seq_len and on_bad_frame'
        )
    raw = extract_features(model, dataloader, lambda *batch: TrackletFeatures(*model.extract_feat(*batch)))
    model.recalibrate_necks(raw.static, raw.dynamic)
    if model.flip_test:
        return extract_features(model, dataloader, model.embed)
    was_training = model.training
    model.eval()
    features = model.finish(raw)
    model.train(was_training)
    return features
