"""MMEngine's Runner with checkpoints that are written whole or not at all."""

import logging
import os
import uuid
from pathlib import Path
from typing import Any

import torch
from mmengine import Config
from mmengine.device import get_device
from mmengine.dist import master_only
from mmengine.logging import MMLogger
from mmengine.model import MMDistributedDataParallel
from mmengine.runner import BaseLoop, Runner
from torch import nn
from torch.optim import Optimizer

from dscreid.engine.checkpoint_files import RUN_KEY
from dscreid.engine.common_settings import without_common_settings
from dscreid.engine.console import quiet_console
from dscreid.engine.run_identity import SETTINGS_KEY, SOURCE_KEY
from dscreid.engine.schedule_extension import recompute_schedules
from dscreid.engine.source_weights import unwrap_model
from dscreid.errors import CheckpointError
from dscreid.utils.checkpoint import ARCHITECTURE_KEY
from dscreid.utils.files import replacing

#: Default hooks that MMEngine adds by itself, unless a config sets them to None.
HOOKS_OF_MMENGINE = ('runtime_info', 'timer', 'sampler_seed', 'logger', 'param_scheduler', 'checkpoint')
#: cuBLAS sums in a fixed order only with workspaces of a fixed size, and torch's deterministic mode insists on them.
CUBLAS_VARIABLE, _CUBLAS_WORKSPACE = 'CUBLAS_WORKSPACE_CONFIG', ':4096:8'


class ReIDRunner(Runner):
    """A Runner whose checkpoints survive kills and full disks, and say what they are.

    A checkpoint is written beside its place, flushed to the disk, and moved there: whoever finds the name finds a
    whole file. Its ``meta`` also holds ``run``, a name that a resumed run takes over, ``architecture``, the model's
    settings that no weight's shape can tell, and the attributes below; see ``dscreid.engine.run_identity``.

    Attributes:
        run: Name of the run.
        settings: The settings that decide what is learned, as JSON; None if unknown.
        source: Fingerprint of the source weights that the run began with; None if it began without any.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.run = uuid.uuid4().hex
        self.settings: str | None = None
        self.source: str | None = None

    def build_logger(self, *args, **kwargs) -> MMLogger:
        """Build the logger: its console shows what a person reads, its file is UTF-8 whatever the locale's encoding."""
        logger = super().build_logger(*args, **kwargs)
        for handler in logger.handlers:
            if isinstance(handler, logging.FileHandler):
                handler.encoding = 'utf-8'
                handler.stream.reconfigure(encoding='utf-8')
        quiet_console(logger)
        logger.info(f'log file: {logger.log_file}')
        return logger

    def set_randomness(
        self, seed: int | None, diff_rank_seed: bool = False, deterministic: bool = False
    ) -> None:
        """Seed, and with ``deterministic`` let torch refuse what a GPU does in no fixed order.

        See ``mmengine.runner.Runner``, which leaves cuBLAS to the environment.
        """
        if deterministic:
            os.environ.setdefault(CUBLAS_VARIABLE, _CUBLAS_WORKSPACE)
        super().set_randomness(seed, diff_rank_seed, deterministic)

    def register_default_hooks(self, hooks: dict[str, Any] | None = None) -> None:
        """Register hooks but for those that are None, which MMEngine's own method allows for its own hooks alone."""
        kept = {
            name: hook
            for name, hook in (hooks or {}).items()
            if hook is not None or name in HOOKS_OF_MMENGINE
        }
        super().register_default_hooks(kept)

    def build_val_loop(self, loop: BaseLoop | dict) -> BaseLoop | None:
        """Build the validation loop; None, with a warning, if no tracklet of its data has a person id."""
        loop = super().build_val_loop(loop)
        reason = loop.dataloader.dataset.missing_identities()
        if reason is None:
            return loop
        self.logger.warning(f'no validation: {reason}')
        return None

    def wrap_model(self, model_wrapper_cfg: dict | None, model: nn.Module) -> nn.Module:
        """Move a model to the device and, with several processes, let them train it together.

        Buffers are not sent around in each iteration, as DDP's default has it: memories are large, and equal anyway,
        since all processes compute them from the same global batch; ``ProcessAgreementHook`` compares them.
        MMEngine's own method takes a GPU for granted.
        """
        if not self.distributed or model_wrapper_cfg is not None:
            return super().wrap_model(model_wrapper_cfg, model)
        device = get_device()
        devices = None if device == 'cpu' else [torch.cuda.current_device()]
        return MMDistributedDataParallel(module=model.to(device), device_ids=devices, broadcast_buffers=False)

    @master_only
    def dump_config(self) -> None:
        """Write the config into the work directory, as a Python file that ``load_config`` takes.

        Common settings stand in it once, so that they can be overridden as in the config that was run.
        """
        plain = without_common_settings({**self.cfg.to_dict(), 'load_from': None, 'resume': False})
        name = self.timestamp if self.cfg.filename is None else Path(self.cfg.filename).stem
        Config(plain).dump(Path(self.work_dir, f'{name}.py'))

    @master_only
    def save_checkpoint(
        self, out_dir: str, filename: str, *args, meta: dict[str, Any] | None = None, **kwargs
    ) -> None:
        """Save a checkpoint; see ``mmengine.runner.Runner``.

        Raises:
            CheckpointError: The disk is full or cannot be written; what lay under the name before still does.
        """
        architecture = getattr(unwrap_model(self.model), 'architecture', None)
        meta = {
            **(meta or {}),
            RUN_KEY: self.run,
            ARCHITECTURE_KEY: architecture,
            SETTINGS_KEY: self.settings,
            SOURCE_KEY: self.source,
        }
        path = Path(out_dir, filename)
        try:
            with replacing(path) as temporary:
                super().save_checkpoint(out_dir, temporary.name, *args, meta=meta, **kwargs)
        except OSError as error:
            raise CheckpointError(
                f'{path}: cannot be written ({error.strerror or error}); the checkpoints written before are whole: '
                'make room, then run again with --resume'
            ) from error

    def load_checkpoint(self, *args, **kwargs) -> dict:
        """Load a checkpoint's weights; see ``mmengine.runner.Runner``.

        ``Runner.resume`` would run ``meta['config']`` as a program; no checkpoint of this project has it, and a
        foreign one loses it here.
        """
        checkpoint = super().load_checkpoint(*args, **kwargs)
        meta = checkpoint.get('meta', {})
        meta.pop('config', None)
        self.run, self.source = meta.get(RUN_KEY, self.run), meta.get(SOURCE_KEY, self.source)
        optimizer = getattr(self.optim_wrapper, 'optimizer', None)
        if optimizer is not None and 'optimizer' in checkpoint:
            keep_fused(optimizer, checkpoint['optimizer'])
            recompute_schedules(self, checkpoint)
        return checkpoint


def keep_fused(optimizer: Optimizer, state: dict[str, Any]) -> None:
    """Let a saved optimiser state go on with the kind of step of the optimiser that takes it over.

    Loading a state takes over all settings of its groups, ``fused`` too, which belongs to the machine: a run that began
    on a processor would never step in one kernel on a GPU.

    Args:
        optimizer: The optimiser that is going to load the state.
        state: Its ``state_dict``; changed in place.
    """
    for group, saved in zip(optimizer.param_groups, state.get('param_groups', ()), strict=False):
        if 'fused' in group:
            saved['fused'] = group['fused']
