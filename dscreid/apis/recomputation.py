"""Choose at the start of a training whether the backbone recomputes its blocks in the backward pass (``with_cp``)."""

from mmengine import Config
from mmengine.logging import print_log

from dscreid.engine.step_memory import step_memory
from dscreid.utils.quantities import size_text

#: Share of a device's free memory for what a step keeps. The rest is for what one operation needs while it runs,
#: DDP's buffers, feature memories, and blocks that are too small to be used again.
USABLE = 0.8


def choose_recomputation(config: Config, free: int | None, devices: int = 1) -> None:
    """Replace ``model.backbone.with_cp='auto'`` by True or False, in place, and log the choice and its figures.

    It is True if what a step keeps without it (see ``step_memory``) exceeds the ``USABLE`` share of the free memory.
    Features and gradients are the same either way, so it is not part of an experiment.

    Args:
        config: Complete config of a training; other values than ``'auto'`` stay.
        free: Free bytes of the device; None for a processor, where blocks are never recomputed.
        devices: Devices that share the batch equally.
    """
    backbone = config.model.get('backbone') or {}
    if backbone.get('with_cp') != 'auto':
        return
    chosen, reason = False, 'without a GPU'
    if free is not None:
        whole = step_memory(config, devices, with_cp=False).total
        chosen = whole > USABLE * free
        reason = f'a step keeps {size_text(whole)} without it, {size_text(free)} of GPU memory are free'
    backbone['with_cp'] = chosen
    print_log(f"with_cp='auto': {'on' if chosen else 'off'}, {reason}", logger='current')
