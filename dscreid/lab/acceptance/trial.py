"""A config's model on artificial tracklets: batches, labels, memories and iterations, without data or weights files."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from mmengine import Config
from mmengine.optim import OptimWrapper, build_optim_wrapper

from dscreid.apis.preflight import epochs_to_try, trial_features, trial_labels
from dscreid.engine.common_settings import walk
from dscreid.engine.extraction import cluster_hook_of
from dscreid.engine.hooks import ClusterHook
from dscreid.engine.label_state import held_centers
from dscreid.engine.schedule import turn_at
from dscreid.engine.step_memory import batch_counts, frames_and_size
from dscreid.models.reid import BaseReID
from dscreid.neighbors import search_with
from dscreid.pseudo_labels import LabelingContext, PseudoLabels
from dscreid.registry import HOOKS, MODELS
from dscreid.structures import Modality, ReIDDataSample

#: Each identity has half of its tracklets in each of two cameras.
_CAMERAS = 2


@dataclass
class MethodTrial:
    """A method on artificial tracklets of well-separated identities, with random weights and pixels.

    Visible tracklets come first in the dataset that it pretends to have; tracklet i of a modality shows identity
    ``i // per_identity``.
    """

    config: Config
    model: BaseReID
    optim_wrapper: OptimWrapper
    hook: ClusterHook | None  #: holds the labelers; None for the source stage
    per_modality: int  #: number of tracklets of each modality
    per_identity: int  #: tracklets of each identity and modality

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return next(self.model.parameters()).device

    @property
    def rows(self) -> dict[Modality, np.ndarray]:
        """Dataset indices of each modality, int64 (per_modality,)."""
        return dict(zip(Modality, np.arange(2 * self.per_modality).reshape(2, -1), strict=True))

    def epochs(self) -> list[int]:
        """Epochs that together use every labeler and loss; [0] for the source stage."""
        if self.hook is None:
            return [0]
        return epochs_to_try(self.config.train_cfg.max_epochs, self.hook, self.model)

    def begin_epoch(self, epoch: int) -> PseudoLabels | None:
        """Label artificial features as the method does in an epoch (from 0), and fill the memories with them."""
        if self.hook is None:
            return None
        model: Any = self.model
        labeler = self.hook.labelers[turn_at(epoch, self.hook.begin_epochs, self.hook.turns)]
        centers = held_centers(model.memories, None if self.hook.labels is None else self.hook.labels.groups)
        known = (centers.features, centers.groups) if centers else ()
        cameras = {modality: camera_of(rows) for modality, rows in self.rows.items()}
        features = [trial_features(self.per_modality, model, self.per_identity) for _ in Modality]
        with search_with(self.hook.neighbor_search):
            context = LabelingContext(epoch, cameras, *known) if labeler.needs_context else None
            self.hook.labels = labels = labeler(*features, context)
        model.set_epoch(epoch)
        model.reset_memories(*features, labels, *self.rows.values())
        return labels

    def fill_memories(self, epoch: int) -> None:
        """Fill the memories for the losses of an epoch with artificial features and labels, without a labeler."""
        model: Any = self.model
        features = [trial_features(self.per_modality, model, self.per_identity) for _ in Modality]
        model.set_epoch(epoch)
        model.reset_memories(*features, trial_labels(self.rows, model, self.per_identity), *self.rows.values())

    def batch(self, seed: int = 0) -> dict[str, Any]:
        """Make a batch as the config's sampler would, infrared tracklets first: see ``artificial_batch``."""
        counts = batch_counts(self.config.train_dataloader.sampler)
        indices = [(m, int(self.rows[m][row])) for m, count in counts.items() for row in range(count)]
        labels = [(index % self.per_modality) // self.per_identity for _, index in indices]
        return artificial_batch(self.config, indices, labels, seed)

    def step(self, batch: Mapping[str, Any]) -> dict[str, torch.Tensor]:
        """Make one iteration as a run does, memories included; return the losses by name."""
        losses = self.model.train_step(batch, self.optim_wrapper)
        if self.hook is not None:
            self.model.update_memories()
        return losses

    def losses(self, batch: Mapping[str, Any]) -> dict[str, torch.Tensor]:
        """Compute the losses of a batch in training mode, without a step."""
        return self.model(**self.model.data_preprocessor(batch, training=True), mode='loss')


def make_trial(
    config: Config, device: str | torch.device, per_modality: int = 96, per_identity: int = 12
) -> MethodTrial:
    """Build a trial on a device; the weights depend on the config alone. The config is not changed."""
    config = copy.deepcopy(config)
    for _, node in walk(config.model):
        if isinstance(node, dict) and 'pretrained' in node:
            node['pretrained'] = None
    if config.model.type == 'SourceReID':
        config.model.num_classes = -(-per_modality // per_identity)
    torch.manual_seed(0)
    model = MODELS.build(config.model)
    model.to(device).train()
    wrapper = build_optim_wrapper(model, copy.deepcopy(config.optim_wrapper))
    settings = cluster_hook_of(config)
    hook = None if settings is None else HOOKS.build({key: v for key, v in settings.items() if key != 'priority'})
    return MethodTrial(config, model, wrapper, hook, per_modality, per_identity)


def camera_of(index: Any) -> Any:
    """Return the camera of a tracklet, or of several, by dataset index."""
    return index // 2 % _CAMERAS


def artificial_batch(
    config: Config, tracklets: list[tuple[Modality, int]], labels: list[int] | None = None, seed: int = 0
) -> dict[str, Any]:
    """Make a collated batch of random pixels with a config's number and size of frames.

    ``tracklets`` are (modality, dataset index). The frames are pinned if PyTorch finds a GPU, as loaders pin them.
    """
    frames, size = frames_and_size(config)
    generator = torch.Generator().manual_seed(seed)
    inputs, samples = [], []
    for place, (modality, index) in enumerate(tracklets):
        pixels = torch.randint(256, (frames, 3, *size), generator=generator, dtype=torch.uint8)
        inputs.append(pixels.pin_memory() if torch.cuda.is_available() else pixels)
        facts = dict(index=index, modality=modality.value, camera=int(camera_of(index)), seed=place, position=place)
        facts |= {} if labels is None else {'label': labels[place]}
        samples.append(ReIDDataSample(metainfo=facts))
    return {'inputs': inputs, 'data_samples': samples}
