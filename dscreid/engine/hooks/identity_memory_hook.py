"""Hook that fills the memories of supervised heads once, before the first epoch (CLIP-ReID, TF-CLIP)."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from dscreid.distributed import from_main_process
from dscreid.engine.extraction import BATCH_SIZE, extract_features, training_set_loader
from dscreid.engine.source_weights import unwrap_model
from dscreid.errors import ConfigError
from dscreid.models.reid import SupervisedReID
from dscreid.registry import HOOKS
from dscreid.structures import TrackletFeatures


@HOOKS.register_module()
class IdentityMemoryHook(Hook):
    """Before the first epoch, fill the memories of a model's heads from the features of all training tracklets.

    The heads (``IdentityMemoryHead``) decide what they keep. Checkpoints hold it, so a resumed run does not repeat it.

    Args:
        pipeline: Transforms that load a tracklet, without augmentation.
        batch_size: Tracklets per batch and process.
        num_workers: Worker processes of the loader; None for as many as the training loader has.
    """

    common_settings = MappingProxyType({'pipeline': 'eval_pipeline'})
    # after the weights that the features come from (SourceWeightsHook: VERY_HIGH)
    priority = 'BELOW_NORMAL'

    def __init__(
        self, pipeline: Sequence[Mapping], batch_size: int = BATCH_SIZE, num_workers: int | None = None
    ) -> None:
        self.pipeline, self.batch_size, self.num_workers = pipeline, batch_size, num_workers

    def before_train(self, runner: Runner) -> None:
        """Fill the memories, unless all are filled; raise a ConfigError if the model has none."""
        model = unwrap_model(runner.model)
        heads = model.memory_heads if isinstance(model, SupervisedReID) else {}
        if not heads:
            raise ConfigError(
                f'IdentityMemoryHook: {type(model).__name__} has no head with a memory, such as PromptedMemoryHead'
            )
        if all(head.is_filled for head in heads.values()):
            return
        loader = training_set_loader(runner.train_loop.dataloader, self.pipeline, self.batch_size, self.num_workers)
        dataset: Any = loader.dataset
        if dataset.labels is None:
            raise ConfigError('IdentityMemoryHook: the training split has no labels; use labelled=True')
        raw = extract_features(model, loader, lambda *batch: TrackletFeatures(*model.extract_feat(*batch)))
        labels = torch.from_numpy(dataset.labels).to(raw.static.device)
        model.fill_memories(from_main_process(lambda: model.make_memories(raw.static, labels, runner.seed or 0)))
