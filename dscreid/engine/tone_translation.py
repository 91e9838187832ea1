"""Features of visible tracklets as the infrared sensor would show them, by a rule learned from pseudo labels."""

from typing import Any

import numpy as np
import torch
from mmengine.logging import print_log
from torch import Tensor
from torch.utils.data import DataLoader

from dscreid.distributed import from_main_process
from dscreid.engine.extraction import extract_features, extract_rows
from dscreid.errors import LabelingError
from dscreid.models.reid import BaseReID
from dscreid.pseudo_labels.tones import (
    ToneSettings,
    choose_palette,
    color_cells,
    fit_tones,
    paired_cells,
    tone_cells,
    tone_table,
    translated,
)
from dscreid.structures import Modality, PseudoLabels, TrackletFeatures

#: Visible tracklets and pixels of each from which the reference colors are chosen.
_TRACKLETS, _PIXELS = 500, 200


class ToneTranslation:
    """Learns the rule from colors to tones anew for each set of labels; colors and tones are only read once.

    Args:
        model: Model whose preprocessor reads the frames.
        everything: Loader of all training tracklets.
        visible: Loader of the visible ones.
        settings: Settings of the rule.
    """

    def __init__(self, model: BaseReID, everything: DataLoader, visible: DataLoader, settings: ToneSettings) -> None:
        dataset: Any = everything.dataset
        self._visible, self._settings = visible, settings
        self._rows = dataset.indices(Modality.RGB)
        self._palette = from_main_process(lambda: choose_palette(_some_pixels(dataset, self._rows), settings.colors))
        preprocessor: Any = model.data_preprocessor

        def cells(inputs: Tensor, *_: Any) -> tuple[Tensor, Tensor]:
            frames = preprocessor.denormalize(inputs)
            return color_cells(frames, self._palette, settings.grid), tone_cells(frames, settings.grid)

        colors, tones = extract_rows(model, everything, cells, 'colors and tones')
        self._colors = colors[torch.from_numpy(self._rows)]
        self._tones = tones[torch.from_numpy(dataset.indices(Modality.IR))]

    def features(self, model: BaseReID, labels: PseudoLabels) -> TrackletFeatures:
        """Learn the rule from the clusters with members of both modalities, and extract translated visible tracklets.

        Raises:
            LabelingError: If there is no such cluster.
        """
        table = from_main_process(lambda: self._table(labels)).to(next(model.parameters()).device)
        preprocessor: Any = model.data_preprocessor

        def encode(inputs: Tensor, modalities: list[str] | None = None) -> TrackletFeatures:
            frames = preprocessor.normalize(translated(preprocessor.denormalize(inputs), table))
            return model.embed(frames, modalities and [Modality.IR.value] * len(modalities))

        return extract_features(model, self._visible, encode, 'extract in infrared tones', self._rows)

    def _table(self, labels: PseudoLabels) -> Tensor:
        colors, tones, pairs = paired_cells(self._colors, self._tones, labels.rgb, labels.ir)
        if not len(pairs):
            raise LabelingError(
                'no cluster has visible and infrared members, so nothing shows which tones the infrared sensor gives '
                'colors; lower pooled.min_share or inter.min_votes, or set translation=None'
            )
        rule = fit_tones(colors, tones, self._settings.shrinkage)
        trusted = int((rule.trust > 0.5).sum())
        print_log(
            f'infrared tones of colors: learned from {len(pairs)} pairs of clusters, of which {trusted} agree well',
            logger='current',
        )
        return tone_table(self._palette, rule.tones)


def _some_pixels(dataset: Any, rows: np.ndarray) -> np.ndarray:
    """Choose pixels of visible tracklets, evenly over the dataset: float64 (N, 3), RGB in [0, 1]."""
    rng = np.random.default_rng(0)
    chosen = rows[np.unique(np.linspace(0, len(rows) - 1, min(len(rows), _TRACKLETS)).astype(int))]
    found = []
    for row in chosen.tolist():
        pixels = dataset[row]['inputs'].movedim(1, -1).reshape(-1, 3).numpy()
        found.append(pixels[rng.integers(len(pixels), size=_PIXELS)])
    return np.concatenate(found) / 255
