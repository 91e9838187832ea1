"""Check the training data against what the model needs."""

from dscreid.datasets import TrackletDataset
from dscreid.errors import DatasetError
from dscreid.structures import Modality


def tracklet_counts(dataset: TrackletDataset) -> dict[Modality, int]:
    """Return the number of tracklets of each modality."""
    return {modality: len(dataset.indices(modality)) for modality in Modality}


def check_both_modalities(dataset: TrackletDataset) -> None:
    """Raise a DatasetError if a training split lacks the tracklets of a modality."""
    visible, infrared = tracklet_counts(dataset).values()
    if not visible or not infrared:
        raise DatasetError(
            f'{dataset.root}: split {dataset.split!r} has {visible:,} visible and {infrared:,} infrared tracklets, but '
            f'adaptation needs both modalities; check the index files, min_seq_len={dataset.min_seq_len}, '
            f'modality={dataset.modality and dataset.modality.value!r} and on_bad_frame (skip_tracklet left out '
            f'{dataset.num_skipped_tracklets:,})'
        )
