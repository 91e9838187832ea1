"""MMEngine's Runner with atomic checkpoint files and a concise console."""

import logging
import os
import uuid
from functools import cache
from pathlib import Path
from typing import Any

import torch
from mmengine import Config
from mmengine.device import get_device
from mmengine.dist import master_only
from mmengine.logging import MMLogger, print_log
from mmengine.model import MMDistributedDataParallel, convert_sync_batchnorm
from mmengine.runner import BaseLoop, Runner
from torch import nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader

from dscreid.datasets.samplers.batch_plan_sampler import planned_batch_size
from dscreid.datasets.tracklet_dataset import why_not_evaluated
from dscreid.engine.checkpoint_files import RUN_KEY
from dscreid.engine.common_settings import without_common_settings
from dscreid.engine.run_identity import SETTINGS_KEY, SOURCE_KEY
from dscreid.engine.schedule import recompute_schedules
from dscreid.engine.source_weights import unwrap_model
from dscreid.errors import CheckpointError, ConfigError, DscreidError
from dscreid.utils.checkpoint import ARCHITECTURE_KEY
from dscreid.utils.files import replacing
from dscreid.utils.shipped import DIRECTION

#: Prefixes of MMEngine messages that go to the log file only: dumps of hundreds of lines, a line repeated every
#: epoch, and MMEngine's warnings about its own code.
LOG_FILE_ONLY = (
    '\n' + '-' * 60 + '\nSystem environment:',
    'Config:\n',
    'Hooks will be executed in the following order:',
    'Distributed training is not used',
    'Exp name: ',
    'Saving checkpoint at ',
    f'Using env variable `{DIRECTION}` ',
    '"FileClient" will be deprecated',
    '"HardDiskBackend" is the alias',
)
#: Default hooks that MMEngine adds unless a config sets them to None.
HOOKS_OF_MMENGINE = ('runtime_info', 'timer', 'sampler_seed', 'logger', 'param_scheduler', 'checkpoint')
#: cuBLAS sums in a fixed order only with workspaces of a fixed size; torch's deterministic mode requires them.
CUBLAS_VARIABLE = 'CUBLAS_WORKSPACE_CONFIG'
_ANOTHER = 'write the name of an earlier checkpoint into last_checkpoint, or start again with --overwrite'


class ConsoleFilter(logging.Filter):
    """Drop messages that belong only in the log file, and tables that were shown before."""

    def __init__(self) -> None:
        super().__init__()
        self._shown: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to show a message; errors are always shown."""
        message = record.getMessage()
        if record.levelno >= logging.ERROR:
            return True
        if message.startswith(LOG_FILE_ONLY) or message in self._shown:
            return False
        if '\n' in message:
            self._shown.add(message)
        return True


#: Shared by all loggers of a process, because each stage of an experiment has its own logger.
_FILTER = ConsoleFilter()


def quiet_console(logger: MMLogger, shown: logging.Filter = _FILTER) -> None:
    """Add a filter to the console handlers of a logger, except at level DEBUG."""
    for handler in logger.handlers:
        if not isinstance(handler, logging.FileHandler) and handler.level > logging.DEBUG:
            handler.addFilter(shown)


class ReIDRunner(Runner):
    """A Runner whose checkpoints survive kills and full disks, and identify the run that wrote them.

    A checkpoint's ``meta`` also holds these attributes and ``architecture``, settings that weight shapes do not show.

    Attributes:
        run: Name of the run, which a resumed run keeps.
        settings: The settings that affect what is learned, as JSON; None if unknown.
        source: Fingerprint of the source weights that the run started from; None if there were none.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.run = uuid.uuid4().hex
        self.settings: str | None = None
        self.source: str | None = None

    def build_logger(self, *args, **kwargs) -> MMLogger:
        """Build a logger with a concise console and a log file in UTF-8, regardless of the locale."""
        logger = super().build_logger(*args, **kwargs)
        for handler in logger.handlers:
            if isinstance(handler, logging.FileHandler) and handler.stream is not None:
                handler.encoding = 'utf-8'
                handler.stream.reconfigure(encoding='utf-8')
        quiet_console(logger)
        logger.info(f'log file: {logger.log_file}')
        return logger

    def set_randomness(self, seed: int | None, diff_rank_seed: bool = False, deterministic: bool = False) -> None:
        """Set the seed; with ``deterministic``, torch raises an error for nondeterministic GPU operations."""
        if deterministic:
            os.environ.setdefault(CUBLAS_VARIABLE, ':4096:8')
        super().set_randomness(seed, diff_rank_seed, deterministic)

    def register_default_hooks(self, hooks: dict[str, Any] | None = None) -> None:
        """Register the hooks that are not None; MMEngine's method accepts None only for its own hooks."""
        kept = {name: hook for name, hook in (hooks or {}).items() if hook is not None or name in HOOKS_OF_MMENGINE}
        super().register_default_hooks(kept)

    @staticmethod
    def build_dataloader(
        dataloader: DataLoader | dict, seed: int | None = None, diff_rank_seed: bool = False
    ) -> DataLoader:
        """Build a data loader; a sampler that plans its batches gives their size, instead of ``batch_size``."""
        if isinstance(dataloader, dict) and (planned := planned_batch_size(dataloader.get('sampler'))) is not None:
            if 'batch_size' in dataloader:
                kind = dataloader['sampler']['type']
                raise ConfigError(
                    f'batch_size={dataloader["batch_size"]} with {kind}, which plans the batches; delete it'
                )
            dataloader = {**dataloader, 'batch_size': planned}
        return Runner.build_dataloader(dataloader, seed, diff_rank_seed)

    def build_train_loop(self, loop: BaseLoop | dict) -> BaseLoop:
        """Build the training loop; raise as ``check_motion``."""
        return self._checked(super().build_train_loop(loop))

    def build_test_loop(self, loop: BaseLoop | dict) -> BaseLoop:
        """Build the test loop; raise as ``check_motion``."""
        return self._checked(super().build_test_loop(loop))

    def _checked(self, loop: BaseLoop) -> BaseLoop:
        check_motion(unwrap_model(self.model), loop.dataloader.dataset)
        return loop

    def build_val_loop(self, loop: BaseLoop | dict) -> BaseLoop | None:
        """Build the validation loop; return None, with a warning, if no validation tracklet has a person ID."""
        loop = self._checked(super().build_val_loop(loop))
        if (reason := why_not_evaluated(loop.dataloader.dataset)) is not None:
            self.logger.warning(f'no validation: {reason}')
            return None
        return loop

    def wrap_model(self, model_wrapper_cfg: dict | None, model: nn.Module) -> nn.Module:
        """Move a model to the device, and wrap it if there are several processes; MMEngine's method requires a GPU.

        Buffers are not broadcast: the memories are large, and all processes compute them from the same global batch.
        """
        if not self.distributed or model_wrapper_cfg is not None:
            return super().wrap_model(model_wrapper_cfg, model)
        if (kind := self.cfg.get('sync_bn')) is not None:
            model = convert_sync_batchnorm(model, kind)
        device = get_device()
        devices = None if device == 'cpu' else [torch.cuda.current_device()]
        return MMDistributedDataParallel(model.to(device), device_ids=devices, broadcast_buffers=False)

    @master_only
    def dump_config(self) -> None:
        """Write the config to the work directory for ``load_config``; each common setting is written once."""
        plain = without_common_settings({**self.cfg.to_dict(), 'load_from': None, 'resume': False})
        name = self.timestamp if self.cfg.filename is None else Path(self.cfg.filename).stem
        Config(plain).dump(Path(self.work_dir, f'{name}.py'))

    @master_only
    def save_checkpoint(self, out_dir: str, filename: str, *args, meta: dict[str, Any] | None = None, **kwargs) -> None:
        """Save a checkpoint; raise CheckpointError, and keep an existing file, if the disk is full or not writable."""
        own = {RUN_KEY: self.run, ARCHITECTURE_KEY: getattr(unwrap_model(self.model), 'architecture', None)}
        own |= {SETTINGS_KEY: self.settings, SOURCE_KEY: self.source}
        path = Path(out_dir, filename)
        try:
            with replacing(path) as temporary:
                super().save_checkpoint(out_dir, temporary.name, *args, meta={**(meta or {}), **own}, **kwargs)
        except OSError as error:
            raise CheckpointError(
                f'{path}: cannot be written ({error.strerror or error}); earlier checkpoints are intact: '
                'free disk space, then run again with --resume'
            ) from error

    def resume(self, filename: str, *args, **kwargs) -> None:
        """Resume from a checkpoint; raise CheckpointError if its training state does not fit this run.

        The file is read into main memory: weights and moments are copied to the device, labels become NumPy arrays.
        """
        try:
            super().resume(filename, *args, **{'map_location': 'cpu', **kwargs})
        except DscreidError as error:
            raise CheckpointError(f'{filename}: cannot be resumed ({error}); {_ANOTHER}') from error
        except Exception as error:  # a state of unexpected types or nesting may fail anywhere
            reason = f'{type(error).__name__}: {" ".join(str(error).split())[:100]}'
            raise CheckpointError(f'{filename}: its training state cannot be read ({reason}); {_ANOTHER}') from error

    def load_checkpoint(self, *args, **kwargs) -> dict:
        """Load a checkpoint's weights without ``meta['config']``, which ``Runner.resume`` would execute as code."""
        checkpoint = super().load_checkpoint(*args, **kwargs)
        meta = checkpoint.get('meta', {})
        meta.pop('config', None)
        self.run, self.source = meta.get(RUN_KEY, self.run), meta.get(SOURCE_KEY, self.source)
        optimizer = getattr(self.optim_wrapper, 'optimizer', None)
        if optimizer is not None and 'optimizer' in checkpoint:
            keep_fused(optimizer, checkpoint['optimizer'])
            recompute_schedules(self, checkpoint)
        return checkpoint


def check_motion(model: nn.Module, dataset: Any) -> None:
    """Raise ConfigError if a model's dynamic feature needs motion, but the data set has only single pictures.

    For other encoders of pictures, log what the dynamic half is.
    """
    encoder = getattr(model, 'backbone', None)
    if not getattr(dataset, 'single_frames', False):
        return
    if getattr(encoder, 'needs_motion', False):
        raise ConfigError(
            f'{type(encoder).__name__} computes its dynamic feature from several frames, but {type(dataset).__name__} '
            'has single pictures; choose a backbone that encodes pictures, such as TwoStreamResNet50, or '
            'ShallowDeepViT for methods with two halves, such as DSC'
        )
    meaning = getattr(encoder, 'dynamic_half_of_a_picture', 'the static half again, so that both always agree')
    _log_once(
        f'{type(dataset).__name__} has single pictures: the dynamic half of {type(encoder).__name__} is {meaning}'
    )


@cache
def _log_once(message: str) -> None:
    print_log(message, logger='current')


def keep_fused(optimizer: Optimizer, state: dict[str, Any]) -> None:
    """Set ``fused`` in a saved optimizer state, in place, so that a run begun on a CPU can use a GPU's kernel."""
    for group, saved in zip(optimizer.param_groups, state.get('param_groups', ()), strict=False):
        if 'fused' in group:
            saved['fused'] = group['fused']
