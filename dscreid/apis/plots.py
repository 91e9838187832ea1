"""What pictures of runs show: answers to queries, the attention of prompts, and features of other checkpoints."""

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.dataset import pseudo_collate

from dscreid.apis.inference import init_model
from dscreid.errors import ConfigError
from dscreid.evaluation import FeatureTable
from dscreid.structures import ReIDDataSample
from dscreid.visualization import (
    AttendedTracklet,
    ReportRun,
    RetrievalExample,
    build_test_dataset,
    check_features_belong,
    choose_pair,
    compute_prompt_attention,
    protocol_of,
    retrieval_examples,
)

#: Tracklets that a model sees at once.
_BATCH = 16


def examples_of(
    config: Config, runs: Sequence[ReportRun], protocol: str | None = None, **choice: int
) -> tuple[list[RetrievalExample], Any]:
    """Retrieve answers to some queries of a config's test set; return them and the test set.

    Args:
        config: Config of the test set.
        runs: Runs with features.
        protocol: Name of the protocol; None for the config's.
        **choice: ``count``, ``topk`` and ``seed`` of :func:`retrieval_examples`.

    Raises:
        DscreidError: If there is no protocol or test set, or a run has the features of another one.
    """
    protocol = protocol or protocol_of(config)
    if protocol is None:
        reason = 'has no protocol in test_evaluator; name the config that was tested, or a --protocol.'
        raise ConfigError(f'{config.filename} {reason}')
    dataset = build_test_dataset(config)
    for run in runs:
        check_features_belong(dataset, run)
    return retrieval_examples(runs, protocol, **choice), dataset


def attended_tracklets(
    config: Config, checkpoint: str | Path, *, person: int | None = None, seed: int = 0, device: str = 'cpu'
) -> list[AttendedTracklet]:
    """Compute the attention of a model's prompts over a visible and an infrared tracklet of one person.

    Args:
        config: Config of the model and its test set.
        checkpoint: Checkpoint of the model.
        person: Person id; None draws one.
        seed: Seed for choosing the person and the tracklets.
        device: Device of the model.

    Raises:
        DscreidError: If config, checkpoint or a frame cannot be used, the model has no prompts, or the test set does
            not show the person in both modalities.
    """
    config = copy.deepcopy(config)
    if config.get('model', {}).get('backbone', {}).get('compile_blocks'):
        config.model.backbone.compile_blocks = False  # hooks need the blocks as they are
    model = init_model(config, checkpoint, device)
    dataset = build_test_dataset(config, with_pipeline=True)
    batch = pseudo_collate([dataset[index] for index in choose_pair(dataset.tracklets, person, seed)])
    attention = compute_prompt_attention(model.backbone, model.data_preprocessor(batch)['inputs'])
    rows = zip(batch['data_samples'], batch['inputs'], attention.maps(), attention.frames, strict=True)
    return [
        AttendedTracklet(_title(sample), frames.permute(0, 2, 3, 1).numpy(), *(v.cpu().numpy() for v in values))
        for sample, frames, *values in rows
    ]


def extract_rows(
    config: Config, checkpoint: str | Path, run: ReportRun, rows: Sequence[int], device: str = 'cpu'
) -> FeatureTable:
    """Extract the features of some rows of a run's table with another checkpoint; those of other rows become zero.

    Raises:
        DscreidError: If the config, the checkpoint or a frame cannot be read, or the run is of another test set.
    """
    features = run.features
    assert features is not None
    model = init_model(config, checkpoint, device)
    dataset = build_test_dataset(config, with_pipeline=True)
    check_features_belong(dataset, run)
    extracted = np.zeros_like(features.feature)
    for start in range(0, len(rows), _BATCH):
        part = rows[start : start + _BATCH]
        batch = pseudo_collate([dataset[index] for index in features.index[part].tolist()])
        samples = model.predict(model.data_preprocessor(batch)['inputs'], batch['data_samples'])
        extracted[part] = np.stack([sample.feature.numpy() for sample in samples])
    return replace(features, feature=extracted)


def _title(sample: ReIDDataSample) -> str:
    modality = {'rgb': 'visible', 'ir': 'infrared'}[sample.modality]
    return f'{modality}, {f"person {sample.pid}" if "pid" in sample else "unknown person"}, camera {sample.camera}'
