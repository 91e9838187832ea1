"""Data sample that a pipeline packs together with a tracklet's pixels."""

from mmengine.structures import BaseDataElement


class ReIDDataSample(BaseDataElement):
    """Metadata of one packed tracklet and, after prediction, its features.

    Meta information (set by ``PackTracklet``):
        - ``index``: int, position in the dataset.
        - ``same_as``: int, first position with the same frames.
        - ``modality``: ``'rgb'`` or ``'ir'``.
        - ``camera``: int.
        - ``length``: int, number of frames of the whole tracklet.
        - ``seed``: int, seed of this draw's augmentation.
        - ``position``: int, position of this draw in the epoch's global order.
        - ``is_query``: bool.
        - ``pid``: int, original person id of the dataset (absent if unknown or in unlabeled splits).
        - ``label``: int in [0, number of train identities) (only in labeled train splits).

    Data fields (set by a model's ``predict``):
        - ``static`` and ``dynamic``: float32 (D,), raw features before any neck.
        - ``feature``: float32 (2 D,), compared by inner product for retrieval.
    """
