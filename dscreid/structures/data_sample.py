"""What a pipeline packs beside a tracklet's pixels."""

from mmengine.structures import BaseDataElement


class ReIDDataSample(BaseDataElement):
    """Facts of one packed tracklet, and after prediction its features.

    Meta information (set by ``PackTracklet``):
        ``index`` int, position in the dataset · ``same_as`` int, the first position with the same frames ·
        ``modality`` ``'rgb'`` or ``'ir'`` · ``camera`` int ·
        ``length`` int, frames of the whole tracklet · ``seed`` int, seed of this draw's augmentation ·
        ``position`` int, this draw's place in the epoch's global order ·
        ``is_query`` bool · ``pid`` int, the person id as the dataset's owners count it (absent if unknown or in
        unlabelled splits) · ``label`` int in [0, number of train identities) (labelled train splits only).

    Data fields (set by a model's ``predict``):
        ``static`` and ``dynamic`` float32 (D,), raw features before any neck · ``feature`` float32 (2 D,), what
        retrieval compares by inner product.
    """
