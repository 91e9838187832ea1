"""What the models of both stages share: encoder, necks, retrieval features and prediction."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.model import BaseModel
from torch import Tensor, nn

from dscreid.errors import ConfigError
from dscreid.models.architecture import architecture_of
from dscreid.models.necks import BNNeck
from dscreid.registry import MODELS
from dscreid.structures import ReIDDataSample, TrackletFeatures

RETRIEVALS = ('neck', 'raw')
MODES = ('tensor', 'loss', 'predict')


class BaseReID(BaseModel):
    """Encoder with a bias-free BN neck on each half.

    Args:
        backbone: Encoder, or its config: ``(N, T, 3, H, W) -> static (N, D), dynamic (N, D)``, with
            ``embed_dim`` = D. One with ``needs_modalities = True`` is called with the modalities as well.
        data_preprocessor: ``TrackletDataPreprocessor`` or its config (``type`` may be left out).
        retrieval: What retrieval compares by inner product: ``neck``, each half after its neck and
            L2-normalised (the sum of two cosines), or ``raw``, the plain features (VLD's own rule).
        flip_test: Whether features are the mean over a tracklet and its mirror image (L2-normalised again
            with ``retrieval='neck'``).

    Raises:
        ConfigError: An unknown ``retrieval``.
    """

    def __init__(
        self,
        backbone: dict[str, Any] | nn.Module,
        data_preprocessor: dict[str, Any] | nn.Module | None = None,
        retrieval: str = 'neck',
        flip_test: bool = False,
    ) -> None:
        if not isinstance(data_preprocessor, nn.Module):
            # built here: MMEngine would look the type up in its own registry
            data_preprocessor = MODELS.build(
                {'type': 'TrackletDataPreprocessor', **(data_preprocessor or {})}
            )
        super().__init__(data_preprocessor=data_preprocessor)
        if retrieval not in RETRIEVALS:
            raise ConfigError(f'retrieval must be one of {RETRIEVALS}, got {retrieval!r}')
        built = isinstance(backbone, nn.Module)
        self.backbone = backbone if built else MODELS.build(backbone)
        #: Settings of the encoder, written into checkpoints; None for one that was built elsewhere.
        self.architecture = None if built else architecture_of(backbone)
        self.static_neck = BNNeck(self.backbone.embed_dim)
        self.dynamic_neck = BNNeck(self.backbone.embed_dim)
        self.retrieval = retrieval
        self.flip_test = flip_test

    def forward(
        self, inputs: Tensor, data_samples: Sequence[ReIDDataSample] | None = None, mode: str = 'tensor'
    ) -> tuple[Tensor, Tensor] | dict[str, Tensor] | list[ReIDDataSample]:
        """Run one of the three modes of MMEngine's models.

        Args:
            inputs: float (N, T, 3, H, W), normalised.
            data_samples: N data samples (modes ``loss`` and ``predict``, and encoders that need modalities).
            mode: ``tensor``, raw features; ``loss``, named losses; ``predict``, data samples with features.

        Returns:
            As the mode says.

        Raises:
            ValueError: An unknown mode.
        """
        if mode == 'tensor':
            return self.extract_feat(inputs, self.modalities_of(data_samples or ()))
        if mode == 'loss':
            return self.loss(inputs, data_samples)
        if mode == 'predict':
            return self.predict(inputs, data_samples)
        raise ValueError(f'mode must be one of {MODES}, got {mode!r}')

    @property
    def needs_modalities(self) -> bool:
        """Whether the encoder must be told the modality of each tracklet."""
        return getattr(self.backbone, 'needs_modalities', False)

    def modalities_of(self, data_samples: Sequence[ReIDDataSample]) -> list[str] | None:
        """Modality of each data sample; None where the encoder does not ask for it."""
        return [sample.modality for sample in data_samples] if self.needs_modalities else None

    def extract_feat(self, inputs: Tensor, modalities: Sequence[str] | None = None) -> tuple[Tensor, Tensor]:
        """Raw static and dynamic features, before any neck.

        Args:
            inputs: float (N, T, 3, H, W), normalised.
            modalities: ``'rgb'`` or ``'ir'`` of each tracklet; only encoders that need them look at them.

        Returns:
            Static and dynamic features, float (N, D) each.

        Raises:
            ValueError: The encoder needs the modalities and they are missing.
        """
        return self.backbone(inputs, modalities) if self.needs_modalities else self.backbone(inputs)

    def loss(self, inputs: Tensor, data_samples: Sequence[ReIDDataSample]) -> dict[str, Tensor]:
        """Named losses of a training batch; stages define them."""
        raise NotImplementedError

    def embed(self, inputs: Tensor, modalities: Sequence[str] | None = None) -> TrackletFeatures:
        """Features as clustering, memories and retrieval use them.

        Args:
            inputs: float (N, T, 3, H, W), normalised.
            modalities: See ``extract_feat``.

        Returns:
            N rows: after the neck and L2-normalised with ``retrieval='neck'``, raw with ``'raw'``.
        """
        return self._embed(inputs, modalities, *self.extract_feat(inputs, modalities))

    def finish(self, raw: TrackletFeatures) -> TrackletFeatures:
        """Raw features as ``retrieval`` says: behind the necks and L2-normalised, or as they are; float32."""
        halves = [half.float() for half in self._project(raw.static, raw.dynamic)]
        return TrackletFeatures(
            *(half if self.retrieval == 'raw' else F.normalize(half, dim=1) for half in halves)
        )

    @torch.no_grad()
    def predict(self, inputs: Tensor, data_samples: Sequence[ReIDDataSample]) -> list[ReIDDataSample]:
        """Data samples with features.

        Args:
            inputs: float (N, T, 3, H, W), normalised.
            data_samples: N data samples; left as they are.

        Returns:
            N copies with, on the CPU in float32, ``static`` and ``dynamic`` (D,), raw features of the
            tracklet as it is, and ``feature`` (2 D,), what retrieval compares by inner product.
        """
        modalities = self.modalities_of(data_samples)
        static, dynamic = self.extract_feat(inputs, modalities)
        feature = self._embed(inputs, modalities, static, dynamic).concatenated()
        static, dynamic, feature = (value.float().cpu() for value in (static, dynamic, feature))
        results = [sample.new() for sample in data_samples]
        for row, sample in enumerate(results):
            # clones: a view would keep, and pickle, the features of the whole batch
            sample.static = static[row].clone()
            sample.dynamic = dynamic[row].clone()
            sample.feature = feature[row].clone()
        return results

    def recalibrate_necks(self, static: Tensor, dynamic: Tensor) -> None:
        """Set the necks' running statistics to those of raw features, for example of an unlabelled target.

        Args:
            static: float (N, D), raw static features.
            dynamic: float (N, D), raw dynamic features.
        """
        self.static_neck.recalibrate(static)
        self.dynamic_neck.recalibrate(dynamic)

    def _embed(
        self, inputs: Tensor, modalities: Sequence[str] | None, static: Tensor, dynamic: Tensor
    ) -> TrackletFeatures:
        """Retrieval features of tracklets whose raw features are already there."""
        plain = self.finish(TrackletFeatures(static, dynamic))
        if not self.flip_test:
            return plain
        mirrored = self.finish(TrackletFeatures(*self.extract_feat(inputs.flip(-1), modalities)))
        halves = [
            (plain.static + mirrored.static) / 2,
            (plain.dynamic + mirrored.dynamic) / 2,
        ]
        return TrackletFeatures(
            *(half if self.retrieval == 'raw' else F.normalize(half, dim=1) for half in halves)
        )

    def _project(self, static: Tensor, dynamic: Tensor) -> tuple[Tensor, Tensor]:
        """Both halves after their necks, or as they are with ``retrieval='raw'``."""
        if self.retrieval == 'raw':
            return static, dynamic
        return self.static_neck(static), self.dynamic_neck(dynamic)
