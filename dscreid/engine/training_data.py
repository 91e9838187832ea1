"""Checks of a training loader against the sampler and the model it serves."""

from torch.utils.data import DataLoader

from dscreid.datasets import TrackletDataset
from dscreid.errors import ConfigError
from dscreid.structures import Modality


def tracklet_counts(dataset: TrackletDataset) -> dict[Modality, int]:
    """Number of tracklets of each modality."""
    return {modality: len(dataset.indices(modality)) for modality in Modality}


def check_batch_size(loader: DataLoader) -> None:
    """Check that a batch of the loader is a batch of its sampler.

    Args:
        loader: A training loader; a sampler without ``batch_size`` asks for nothing.

    Raises:
        ConfigError: The two sizes differ, so that batches would mix parts of two planned ones.
    """
    planned = getattr(loader.sampler, 'batch_size', None)
    if planned is not None and planned != loader.batch_size:
        raise ConfigError(
            f'train_dataloader: batch_size={loader.batch_size}, but {type(loader.sampler).__name__} plans batches of '
            f'{planned} tracklets per process; set batch_size={planned} or change the numbers of the sampler'
        )


def check_num_classes(loader: DataLoader, num_classes: int) -> None:
    """Check that a classifier has an output for each identity of a labelled loader's dataset.

    Raises:
        ConfigError: There are more identities.
    """
    found = getattr(loader.dataset, 'num_classes', None)
    if found is None:
        raise ConfigError(
            'train_dataloader: SourceReID learns from labels, but the dataset gives none; use a labelled train split'
        )
    if found > num_classes:
        raise ConfigError(
            f'model: num_classes={num_classes}, but the training split has {found} identities; set num_classes=None '
            'to have them counted'
        )
