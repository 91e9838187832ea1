"""Check the training data against what the model needs."""

from torch.utils.data import DataLoader

from dscreid.datasets import TrackletDataset
from dscreid.errors import ConfigError, DatasetError
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


def check_num_classes(loader: DataLoader, num_classes: int) -> None:
    """Raise a ConfigError if a loader's dataset is not labeled, or has more identities than a classifier's outputs."""
    found = getattr(loader.dataset, 'num_classes', None)
    if found is None:
        raise ConfigError(
            'train_dataloader: SourceReID learns from labels, but the dataset has none; use a labeled train split'
        )
    if found > num_classes:
        raise ConfigError(
            f'model: num_classes={num_classes}, but the training split has {found} identities; set num_classes=None '
            'to have them counted'
        )
