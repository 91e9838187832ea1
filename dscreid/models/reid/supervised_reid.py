"""Model of supervised training, on a labeled source (stage 1) or on the labels of the target."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from dscreid.distributed.global_batch import gather_batch
from dscreid.errors import ConfigError
from dscreid.models.heads.memory_head import IdentityMemoryHead
from dscreid.models.losses.labeled_batch import LabeledBatch
from dscreid.models.losses.supervised import BatchLoss
from dscreid.models.reid.base import BaseReID, BNNeck
from dscreid.registry import MODELS
from dscreid.structures import Modality, ReIDDataSample

_HALVES = ('static', 'dynamic')


@MODELS.register_module()
class SupervisedReID(BaseReID):
    """Encoder with heads and losses from a config, trained with identity labels.

    An encoder may have a method ``training_parts(inputs, modalities)``, which returns ``static``, ``dynamic`` and other
    parts of a training batch by name, in one or more versions of each tracklet (see ``LabeledBatch``), and an attribute
    ``part_widths`` with the widths of the other parts. If its static half is a concatenation, an attribute ``segments``
    has the names and widths of what it consists of; these are parts too, raw and, as ``neck_`` and their name, after
    the neck. Then come the heads in the order of the config, and the losses. The other arguments are those of
    ``BaseReID``.

    Args:
        num_classes: Number of identities.
        heads: Configs by name. The head ``static`` is ``model.static_head``, and its output the part ``static_head``.
            It is built with ``num_classes`` and the width of its part as ``in_features``.
        losses: Configs by name; the loss ``id`` is logged as ``loss_id``. None removes an inherited loss.
        tracklet_parts: Names of parts with one value for each tracklet of the training split, which a hook sets by
            ``set_tracklet_parts`` before the first epoch whose losses read them.
    """

    def __init__(
        self,
        backbone: dict[str, Any] | nn.Module,
        num_classes: int,
        losses: Mapping[str, dict[str, Any] | None],
        heads: Mapping[str, dict[str, Any] | None] = {},
        tracklet_parts: Sequence[str] = (),
        **others: Any,
    ) -> None:
        super().__init__(backbone, **others)
        if not isinstance(num_classes, int) or num_classes < 1:
            raise ConfigError(f'{type(self).__name__}: num_classes must be a positive integer, got {num_classes!r}')
        widths = dict.fromkeys((*_HALVES, 'neck_static', 'neck_dynamic'), self.embed_dim)
        widths |= getattr(self.backbone, 'part_widths', {})
        self.segments: dict[str, int] = getattr(self.backbone, 'segments', {})
        after_neck = {f'neck_{name}': width for name, width in self.segments.items()}
        widths |= self.segments | after_neck
        widths |= dict.fromkeys(tracklet_parts, 1)
        #: float (number of training tracklets,) by name; None before a hook has set them
        self.tracklet_parts: dict[str, Tensor | None] = dict.fromkeys(tracklet_parts)
        self.head_names = [f'{name}_head' for name, settings in heads.items() if settings]
        for name, settings in heads.items():
            if settings:
                head = _build_head(settings, widths, num_classes)
                widths[f'{name}_head'] = head.out_features  # type: ignore[assignment]  # heads may read heads
                self.add_module(f'{name}_head', head)
        self.losses = nn.ModuleDict({name: MODELS.build(settings) for name, settings in losses.items() if settings})
        self.epoch = 0
        parts = [self.get_submodule(name) for name in self.head_names] + list(self.losses.values())
        read = {part for module in parts for part in module.reads}
        if unknown := sorted(read - widths.keys()):
            raise ConfigError(f'{type(self).__name__}: no part is named {unknown[0]!r}; known are {", ".join(widths)}')
        for half in _HALVES:
            # Distributed training would wait for the gradient of a parameter that no loss uses.
            names = {f'neck_{half}', *(after_neck if half == 'static' else ())}
            self.neck_of(half).weight.requires_grad_(not names.isdisjoint(read))

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, counted from 0, for the schedules of the losses."""
        self.epoch = epoch

    def set_tracklet_parts(self, parts: Mapping[str, Tensor]) -> None:
        """Set all ``tracklet_parts``, float (number of training tracklets,) each."""
        self.tracklet_parts = {name: parts[name] for name in self.tracklet_parts}

    def neck_of(self, half: str) -> BNNeck:
        """Return the neck of a half, ``'static'`` or ``'dynamic'``."""
        return self.static_neck if half == 'static' else self.dynamic_neck

    @property
    def memory_heads(self) -> dict[str, IdentityMemoryHead]:
        """Heads with a memory of the identities, by name."""
        heads = {name: self.get_submodule(name) for name in self.head_names}
        return {name: head for name, head in heads.items() if isinstance(head, IdentityMemoryHead)}

    def make_memories(self, static: Tensor, labels: Tensor, seed: int = 0) -> dict[str, Tensor]:
        """Compute the memories of the heads from all training tracklets, on the CPU.

        ``static`` are raw static features, float32 (N, D), ``labels`` int64 (N,) in [0, num_classes).
        """
        parts = {'static': static, **self._segments_of(static)}
        return {
            name: head.make_memory(parts[head.part], labels, seed).cpu() for name, head in self.memory_heads.items()
        }

    def fill_memories(self, memories: Mapping[str, Tensor]) -> None:
        """Fill the memories of the heads, by name."""
        for name, memory in memories.items():
            self.memory_heads[name].fill(memory)

    def loss(self, inputs: Tensor, data_samples: Sequence[ReIDDataSample]) -> dict[str, Tensor]:
        """Compute the active losses of a labeled batch; every process returns those of the global batch.

        ``data_samples`` have a ``label`` in [0, num_classes). The losses are named ``loss_`` and their name.
        """
        batch = self._labeled_batch(self._encode(inputs, self.modalities_of(data_samples)), data_samples)
        losses, read = batch.losses, set[str]()
        for name, loss in self.losses.items():
            assert isinstance(loss, BatchLoss)
            if loss.weight and loss.is_active(self.epoch):
                if unset := [part for part in loss.reads if self.tracklet_parts.get(part, batch) is None]:
                    raise ConfigError(f'loss {name} reads {unset[0]!r}, but no hook (default_hooks) has set this part')
                losses[f'loss_{name}'] = loss.weight * loss(batch)
                read |= set(loss.reads)
        for name in self.head_names:
            if losses and name not in read:
                # Distributed training would wait for the gradient of a head whose loss is not active.
                first = next(iter(losses))
                losses[first] = losses[first] + 0 * batch.parts[name].sum()
        return losses

    def _encode(self, inputs: Tensor, modalities: Sequence[str] | None) -> dict[str, Tensor]:
        training_parts = getattr(self.backbone, 'training_parts', None)
        if training_parts is None:
            return dict(zip(_HALVES, self.extract_feat(inputs, modalities), strict=True))
        is_told = getattr(self.backbone, 'needs_modalities', False)
        return training_parts(inputs, modalities) if is_told else training_parts(inputs)

    def _labeled_batch(self, own: dict[str, Tensor], data_samples: Sequence[ReIDDataSample]) -> LabeledBatch:
        parts, data_samples = gather_batch(own, data_samples)
        given = [sample.get('label') for sample in data_samples]
        if any(label is None for label in given):
            name = type(self).__name__
            raise ConfigError(f'{name} needs a label in every data sample; use a training split with labelled=True')
        device, versions = parts['static'].device, len(parts['static']) // len(data_samples)
        labels = torch.tensor(given, dtype=torch.int64).to(device, non_blocking=True).repeat(versions)
        visible = [sample.modality == Modality.RGB.value for sample in data_samples]
        for half in _HALVES:
            neck = self.neck_of(half)
            # an unused neck still gathers the statistics of its half
            parts[f'neck_{half}'] = neck(parts[half] if neck.weight.requires_grad else parts[half].detach())
        parts |= self._segments_of(parts['static']) | self._segments_of(parts['neck_static'], 'neck_')
        indices = torch.tensor([sample.index for sample in data_samples]).to(device, non_blocking=True).repeat(versions)
        parts |= {name: row.to(device)[indices] for name, row in self.tracklet_parts.items() if row is not None}
        # the same on all processes, another for each batch
        seed = data_samples[0].get('position', 0) + (self.epoch << 32)
        rows = torch.tensor(visible).to(device, non_blocking=True).repeat(versions)
        batch = LabeledBatch(parts, labels, rows, versions, self.epoch, seed, {})
        for name in self.head_names:
            parts[name] = self.get_submodule(name)(batch)
        return batch

    def _segments_of(self, static: Tensor, prefix: str = '') -> dict[str, Tensor]:
        """Split static features, float (R, D), into their segments."""
        columns = static.split(list(self.segments.values()), dim=1) if self.segments else ()
        return {f'{prefix}{name}': part for name, part in zip(self.segments, columns, strict=True)}


def _build_head(settings: dict[str, Any], widths: Mapping[str, int], num_classes: int) -> nn.Module:
    part = settings.get('part', 'neck_static')
    if part not in widths:
        raise ConfigError(f'{settings["type"]}: no part is named {part!r}; known are {", ".join(widths)}')
    return MODELS.build({**settings, 'in_features': widths[part], 'num_classes': num_classes})


def is_supervised(settings: Mapping[str, Any]) -> bool:
    """Check whether a model config names ``SupervisedReID`` or a class derived from it."""
    found = MODELS.get(settings['type']) if 'type' in settings else None
    return isinstance(found, type) and issubclass(found, SupervisedReID)
