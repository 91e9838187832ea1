"""Base model of both stages: encoder, necks, retrieval features and prediction."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.model import BaseModel
from torch import Tensor, nn

from dscreid.errors import ConfigError
from dscreid.registry import MODELS
from dscreid.structures import RANKINGS, Modality, ReIDDataSample, TrackletFeatures, ranking_feature

#: Values of ``retrieval``, and the ranking that belongs to each.
RETRIEVALS = {'neck': 'neck_both', 'raw': 'vld'}
_LOW_PRECISIONS = ('bfloat16', 'float16')
#: Settings that do not change the network: the source of its weights and how it is run.
_NO_ARCHITECTURE = {
    'pretrained', 'pretrained_sha256', 'pretrained_activation', 'pretrained_prompts', 'with_cp', 'compile_blocks',
    'pretrained_projection', 'init_cfg', 'channels_last',
}  # fmt: skip


@MODELS.register_module()
class BNNeck(nn.BatchNorm1d):
    """``BatchNorm1d`` over ``num_features`` = D features, with its bias frozen at zero (Luo et al., 2019)."""

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, num_features: int) -> None:
        super().__init__(num_features)
        self.bias.requires_grad_(False)

    @torch.no_grad()
    def recalibrate(self, features: Tensor) -> None:
        """Set the running statistics to those of raw features of a domain, float (N >= 2, D) (AdaBN; Li et al.)."""
        if features.ndim != 2 or features.shape[1] != self.num_features or len(features) < 2:
            raise ValueError(f'needs at least two rows of {self.num_features} values, got {tuple(features.shape)}')
        features = features.double()  # because thousands of rows are summed
        self.running_mean.copy_(features.mean(0))
        self.running_var.copy_(features.var(0, unbiased=True))


class BaseReID(BaseModel):
    """Tracklet encoder with a BN neck without bias on its static and its dynamic feature.

    Args:
        backbone: Encoder or its config. It maps (N, T, 3, H, W) to static and dynamic features, (N, D = ``embed_dim``)
            each. If its ``needs_modalities`` is True, it also receives the modalities; if its ``needs_cameras`` is too,
            with the cameras.
        data_preprocessor: ``TrackletDataPreprocessor`` or its config (``type`` is optional).
        retrieval: Features that training and retrieval compare by inner product: ``'neck'``, each half after its neck
            and L2-normalized, or ``'raw'``, as in VLD.
        flip_test: Whether to average the features of a tracklet and its mirror image (then L2-normalized again).
        ranking: Key of ``RANKINGS``: the feature that tracklets are ranked by, if not that of ``retrieval``.
        inference_dtype: ``'bfloat16'`` or ``'float16'``: precision of the encoder for the features that labels and
            rankings are made from. None for float32, also if the training uses mixed precision.
    """

    def __init__(
        self,
        backbone: dict[str, Any] | nn.Module,
        data_preprocessor: dict[str, Any] | nn.Module | None = None,
        retrieval: str = 'neck',
        flip_test: bool = False,
        ranking: str | None = None,
        inference_dtype: str | None = None,
    ) -> None:
        if not isinstance(data_preprocessor, nn.Module):
            # Built here because MMEngine would look up the type in its own registry.
            data_preprocessor = MODELS.build({'type': 'TrackletDataPreprocessor', **(data_preprocessor or {})})
        super().__init__(data_preprocessor=data_preprocessor)
        if retrieval not in RETRIEVALS:
            raise ConfigError(f'retrieval must be one of {tuple(RETRIEVALS)}, got {retrieval!r}')
        if ranking is not None and ranking not in RANKINGS:
            raise ConfigError(f'ranking must be one of {tuple(RANKINGS)}, got {ranking!r}')
        if inference_dtype not in (None, *_LOW_PRECISIONS):
            raise ConfigError(f'inference_dtype must be None or one of {_LOW_PRECISIONS}, got {inference_dtype!r}')
        #: Settings of the encoder, written to checkpoints. None if the encoder was passed as a module.
        self.architecture = None if isinstance(backbone, nn.Module) else architecture_of(backbone)
        self.backbone: nn.Module = backbone if isinstance(backbone, nn.Module) else MODELS.build(backbone)
        self.embed_dim: int = self.backbone.embed_dim  # type: ignore[assignment]  # each encoder declares its width
        self.static_neck = BNNeck(self.embed_dim)
        self.dynamic_neck = BNNeck(self.embed_dim)
        self.retrieval = retrieval
        self.ranking = ranking or RETRIEVALS[retrieval]
        self.flip_test = flip_test
        self.inference_dtype: torch.dtype | None = getattr(torch, inference_dtype) if inference_dtype else None

    def forward(
        self, inputs: Tensor, data_samples: Sequence[ReIDDataSample] | None = None, mode: str = 'tensor'
    ) -> tuple[Tensor, Tensor] | dict[str, Tensor] | list[ReIDDataSample]:
        """Run a mode of MMEngine's models on normalized frames, float (N, T, 3, H, W).

        ``'tensor'`` returns the raw static and dynamic features, ``'loss'`` the losses by name, ``'predict'`` data
        samples with features.
        """
        data_samples = data_samples or ()
        if mode == 'tensor':
            return self.extract_feat(inputs, self.modalities_of(data_samples))
        if mode not in ('loss', 'predict'):
            raise ValueError(f"mode must be one of 'tensor', 'loss' and 'predict', got {mode!r}")
        return self.loss(inputs, data_samples) if mode == 'loss' else self.predict(inputs, data_samples)

    @property
    def needs_modalities(self) -> bool:
        """Whether features need the modality of each tracklet: the encoder's, or those with learned infrared tones."""
        return self._has_tones or getattr(self.backbone, 'needs_modalities', False)

    @property
    def _has_tones(self) -> bool:
        return getattr(self.data_preprocessor, 'tones', None) is not None

    def modalities_of(self, data_samples: Sequence[ReIDDataSample]) -> list[str] | None:
        """Return the modalities of data samples, or None if the encoder does not need them.

        For encoders with ``needs_cameras`` they are ``modality:camera``, such as ``'rgb:3'``.
        """
        if getattr(self.backbone, 'needs_cameras', False):
            return [f'{sample.modality}:{sample.camera}' for sample in data_samples]
        return [sample.modality for sample in data_samples] if self.needs_modalities else None

    def extract_feat(self, inputs: Tensor, modalities: Sequence[str] | None = None) -> tuple[Tensor, Tensor]:
        """Extract raw static and dynamic features, before the necks, float (N, D) each, from float (N, T, 3, H, W).

        ``modalities``, ``'rgb'`` or ``'ir'`` for each tracklet, are for encoders that need them.
        """
        return self._run_encoder(self.backbone, inputs, modalities)

    def _run_encoder(
        self, encoder: nn.Module, inputs: Tensor, modalities: Sequence[str] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Run an encoder of this model's kind; in evaluation, in the precision of ``inference_dtype``.

        If infrared tones are known, visible tracklets are averaged in evaluation with what they look like in these.
        """
        own = self._encoded(encoder, inputs, modalities)
        if self.training or not self._has_tones or not self.data_preprocessor.knows_tones:
            return own
        if modalities is None:
            raise ValueError('this model needs the modality of each tracklet, because it translates visible ones')
        rows = [row for row, one in enumerate(modalities) if one.partition(':')[0] == Modality.RGB.value]
        if not rows:
            return own
        at = torch.tensor(rows, device=inputs.device)
        preprocessor: Any = self.data_preprocessor
        frames = preprocessor.normalize(preprocessor.translate(preprocessor.denormalize(inputs[at])))
        infrared = [modalities[row].replace(Modality.RGB.value, Modality.IR.value, 1) for row in rows]
        seen = self._encoded(encoder, frames, infrared)
        static, dynamic = (
            half.index_copy(0, at, (half[at] + other) / 2) for half, other in zip(own, seen, strict=True)
        )
        return static, dynamic

    def _encoded(self, encoder: nn.Module, inputs: Tensor, modalities: Sequence[str] | None) -> tuple[Tensor, Tensor]:
        batch = (inputs, modalities) if getattr(encoder, 'needs_modalities', False) else (inputs,)
        if self.training or self.inference_dtype is None:
            return encoder(*batch)
        with torch.autocast(inputs.device.type, self.inference_dtype):
            static, dynamic = encoder(*batch)
        return static.float(), dynamic.float()

    def loss(self, inputs: Tensor, data_samples: Sequence[ReIDDataSample]) -> dict[str, Tensor]:
        """Compute the losses of a training batch; subclasses implement this."""
        raise NotImplementedError

    def embed(self, inputs: Tensor, modalities: Sequence[str] | None = None) -> TrackletFeatures:
        """Extract the N features that labels are made from, see ``finish``."""
        plain = self.finish(TrackletFeatures(*self.extract_feat(inputs, modalities)))
        if not self.flip_test:
            return plain
        mirrored = self.finish(TrackletFeatures(*self.extract_feat(inputs.flip(-1), modalities)))
        return self._normalized((plain.static + mirrored.static) / 2, (plain.dynamic + mirrored.dynamic) / 2)

    def finish(self, raw: TrackletFeatures) -> TrackletFeatures:
        """Convert raw features to float32 features of ``retrieval``: after the necks and L2-normalized, or raw."""
        return self._normalized(*(half.float() for half in self._project(raw.static, raw.dynamic)))

    def rank_features(self, inputs: Tensor, modalities: Sequence[str] | None = None) -> Tensor:
        """Extract the features that tracklets are ranked by, float32 (N, F), see ``RANKINGS``."""
        return self._ranked(self.ranking_parts(inputs, modalities), inputs, modalities)

    def ranking_parts(self, inputs: Tensor, modalities: Sequence[str] | None = None) -> dict[str, Tensor]:
        """Extract ``static``, ``dynamic``, ``neck_static`` and ``neck_dynamic``, float32 (N, D) each, not scaled."""
        return self._parts_of(self, inputs, modalities)

    def _parts_of(self, network: Any, inputs: Tensor, modalities: Sequence[str] | None) -> dict[str, Tensor]:
        """``ranking_parts`` of an encoder and its necks, those of this model or copies (attributes of ``network``)."""
        static, dynamic = self._run_encoder(network.backbone, inputs, modalities)
        after_necks = {'neck_static': network.static_neck(static), 'neck_dynamic': network.dynamic_neck(dynamic)}
        return {name: part.float() for name, part in ({'static': static, 'dynamic': dynamic} | after_necks).items()}

    @torch.no_grad()
    def predict(self, inputs: Tensor, data_samples: Sequence[ReIDDataSample]) -> list[ReIDDataSample]:
        """Return copies of the data samples with float32 features on the CPU.

        These are the ``ranking_parts`` of the unflipped tracklet, (D,) each, and the ``feature`` of ``rank_features``.
        """
        modalities = self.modalities_of(data_samples)
        parts = self.ranking_parts(inputs, modalities)
        features = {name: value.cpu() for name, value in parts.items()}
        features['feature'] = self._ranked(parts, inputs, modalities).cpu()
        results = [sample.new() for sample in data_samples]
        for row, sample in enumerate(results):
            # Cloned because a view would keep (and pickle) the features of the whole batch.
            sample.set_data({name: value[row].clone() for name, value in features.items()})
        return results

    def recalibrate_necks(self, static: Tensor, dynamic: Tensor) -> None:
        """Set the running statistics of the necks to those of raw features, float (N, D)."""
        self.static_neck.recalibrate(static)
        self.dynamic_neck.recalibrate(dynamic)

    def _ranked(self, parts: dict[str, Tensor], inputs: Tensor, modalities: Sequence[str] | None) -> Tensor:
        mirrored = [self.ranking_parts(inputs.flip(-1), modalities)] if self.flip_test else []
        return ranking_feature(self.ranking, parts, *mirrored)

    def _normalized(self, *halves: Tensor) -> TrackletFeatures:
        return TrackletFeatures(*(half if self.retrieval == 'raw' else F.normalize(half, dim=1) for half in halves))

    def _project(self, static: Tensor, dynamic: Tensor) -> tuple[Tensor, Tensor]:
        if self.retrieval == 'raw':
            return static, dynamic
        return self.static_neck(static), self.dynamic_neck(dynamic)


def architecture_of(settings: Mapping[str, Any], prefix: str = 'backbone') -> dict[str, Any]:
    """Collect the settings of a registered module, with defaults, such as ``{'backbone.tower.heads': 12, ...}``."""
    component = MODELS.get(settings['type'])
    parameters = inspect.signature(component).parameters.values()
    given = {p.name: p.default for p in parameters if p.default is not p.empty} | dict(settings)
    described: dict[str, Any] = {f'{prefix}.type': component.__name__}
    for name, value in given.items():
        place = f'{prefix}.{name}'
        if name in _NO_ARCHITECTURE or name == 'type':
            continue
        if isinstance(value, Mapping) and 'type' in value:
            described |= architecture_of(value, place)
        else:
            described[place] = _plain(value)
    return described


def _plain(value: Any) -> Any:
    """Convert mappings and sequences, such as parts of a config, to the dicts and lists that checkpoints may hold."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value
