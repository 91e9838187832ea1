"""Keep an averaged encoder, and draw the instances of each cluster from its features (PCLHD)."""

import numpy as np
from mmengine.hooks import Hook

from dscreid.engine.extraction import extract_features
from dscreid.engine.hooks.cluster_hook import find_cluster_hook
from dscreid.engine.schedule import begins_anew
from dscreid.engine.source_weights import unwrap_model
from dscreid.errors import ConfigError
from dscreid.registry import HOOKS
from dscreid.structures import TrackletFeatures


@HOOKS.register_module()
class InstanceSlotHook(Hook):
    """Start the averaged encoder of ``HierarchicalReID``, and reset its instances before each epoch.

    Instances are drawn at random for each epoch and do not change within it, as in the released code.
    """

    # after ClusterHook (BELOW_NORMAL) has labeled the epoch
    priority = 'LOW'

    def before_train(self, runner) -> None:
        """Check that model, labels and sampler belong together, and copy the encoder at the start of a run."""
        model, sampler = unwrap_model(runner.model), runner.train_loop.dataloader.sampler
        if find_cluster_hook(runner) is None or not hasattr(model, 'reset_slots'):
            raise ConfigError('InstanceSlotHook: needs HierarchicalReID as the model, and a ClusterHook')
        if not getattr(sampler, 'joint', False):
            raise ConfigError(
                "InstanceSlotHook: needs sampler=dict(type='PseudoLabelSampler', joint=True, ...) in train_dataloader"
            )
        if begins_anew(runner):
            model.start_average()

    def before_train_epoch(self, runner) -> None:
        """Extract all tracklets with the averaged encoder, and draw instances of the epoch's clusters."""
        clusterer, model = find_cluster_hook(runner), unwrap_model(runner.model)
        if clusterer is None or clusterer.last is None:  # a skipped epoch
            return
        features = extract_features(model, clusterer.dataloader, model.embed_average, 'extract averages')
        halves = (TrackletFeatures(features.static[rows], features.dynamic[rows]) for rows in clusterer.rows.values())
        rng = np.random.default_rng([runner.seed or 0, runner.epoch])
        model.reset_slots(*halves, clusterer.last.labels, rng)
