"""Safe and strict reading of weights files, with messages that say what to do."""

import hashlib
import logging
import pickle
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from mmengine.logging import print_log
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from dscreid.errors import CheckpointError, ConfigError
from dscreid.utils import config_difference
from dscreid.utils.files import existing_file
from dscreid.utils.safe_globals import allow_mmengine_globals
from dscreid.utils.torchscript import is_torchscript, read_torchscript

#: Key of a checkpoint's ``meta`` that contains the settings of its model (``architecture`` of the model).
ARCHITECTURE_KEY = 'architecture'
_SPEED_ONLY = '.compile_blocks'  # only affects rounding; some older checkpoints contain it
_SHOWN = 10


def sha256(path: str | Path) -> str:
    """Compute the SHA-256 hash of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, 'rb') as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def read_metadata(path: str | Path) -> dict[str, str]:
    """Return the metadata of a ``.safetensors`` file; empty for other files."""
    path = _existing(path)
    if path.suffix != '.safetensors':
        return {}
    try:
        with safe_open(path, framework='pt') as stream:
            return dict(stream.metadata() or {})
    except Exception as error:
        raise damaged_file(path, error) from error


def load_checkpoint(path: str | Path) -> dict:
    """Read a complete weights file without running any code that it contains.

    Returns:
        A checkpoint such as ``dict(state_dict=..., meta=...)``, or weights by name, with tensors on the CPU.

    Raises:
        CheckpointError: If the file is missing, damaged, contains no dict, or refers to code.
    """
    path = _existing(path)
    try:
        if path.suffix == '.safetensors':
            return load_file(path)
        _check_archive(path)
        if is_torchscript(path):
            return read_torchscript(path)
        allow_mmengine_globals()
        content = torch.load(path, map_location='cpu', weights_only=True)
    except Exception as error:  # damaged archives may raise any exception
        raise damaged_file(path, error) from error
    if not isinstance(content, Mapping):
        raise CheckpointError(f'{path}: expected a dict of weights, found {type(content).__name__}.')
    return dict(content)


def meta_of(content: Mapping) -> Mapping:
    """Return the ``meta`` entry of a checkpoint; empty if there is none."""
    meta = content.get('meta')
    return meta if isinstance(meta, Mapping) else {}


def load_weights(path: str | Path) -> dict[str, Tensor]:
    """Read the weights of a file: tensors on the CPU by name, dtypes as stored.

    They are taken from the key 'state_dict', then 'model', 'net' or 'teacher' (DINO), otherwise from the top level. If
    all names start with ``module.`` (added by DistributedDataParallel), this prefix is removed.

    Raises:
        CheckpointError: If the file cannot be read or contains no weights.
    """
    return _weights(path, load_checkpoint(path))


def load_model_weights(
    model: nn.Module,
    path: str | Path,
    *,
    allow_missing: Sequence[str] = (),
    ignore: Callable[[str], bool] = lambda name: False,
    partial: bool = False,
) -> None:
    """Load a file's weights into a model. All weights must fit, unless ``partial`` is set.

    Args:
        model: Changed in place, and only if everything fits.
        path: The file, as for :func:`load_weights`.
        allow_missing: Prefixes of the model's weights that may be missing in the file; they keep their values.
        ignore: Whether a weight of the file is skipped, by its name.
        partial: Load the weights whose name and shape fit, and warn with the list of all others.

    Raises:
        CheckpointError: If the file cannot be read or does not fit; with ``partial``, only if no weight fits.
        ConfigError: If the file says with which activation its tower was trained, and the model has another.
    """
    content = load_checkpoint(path)
    weights = _weights(path, content)
    weights = {name: value for name, value in weights.items() if not ignore(name)}
    differences = list_setting_differences(model, content) + list_differences(model, weights, allow_missing)
    if differences and partial:
        weights = _fitting(model, path, weights, differences)
    elif differences:
        remedy = 'use the config with which it was trained, also with its num_frames, or weights of this one'
        if not weights.keys() & model.state_dict().keys():
            remedy = f'{remedy}; if they are of another project, convert them with dscreid convert-weights'
        raise CheckpointError(f'{path}: does not fit {type(model).__name__} ({in_words(differences)}); {remedy}.')
    _check_activation(model, path, meta_of(content))
    model.load_state_dict(weights, strict=False)


def list_differences(model: nn.Module, weights: Mapping[str, Tensor], allow_missing: Sequence[str] = ()) -> list[str]:
    """List why weights do not fit a model: missing, unexpected, or of another shape or kind; empty if they fit.

    Floating-point weights of any precision fit each other; integers do not fit floating-point weights. Weights whose
    names start with one of ``allow_missing`` may be missing.
    """
    expected = model.state_dict()
    misfits = [text for name in expected if name in weights and (text := _misfit(name, weights[name], expected[name]))]
    absent = [name for name in expected if name not in weights and not name.startswith(tuple(allow_missing))]
    unexpected = [name for name in weights if name not in expected]
    return [*misfits, *(f'missing {name}' for name in absent), *(f'unexpected {name}' for name in unexpected)]


def _misfit(name: str, value: Tensor, own: Tensor) -> str:
    if value.shape != own.shape:
        return f'{name} has shape {tuple(value.shape)}, not {tuple(own.shape)}'
    if value.is_floating_point() != own.is_floating_point():
        return f'{name} has dtype {value.dtype}, not {own.dtype}'.replace('torch.', '')
    return ''


def list_setting_differences(model: nn.Module, content: Mapping) -> list[str]:
    """List the settings that differ between a model and the one in a checkpoint, such as a number of heads.

    A model without ``architecture`` and a checkpoint without settings (from another project) have no differences.
    """
    saved = meta_of(content).get(ARCHITECTURE_KEY)
    own = getattr(model, 'architecture', None)
    return [] if not isinstance(saved, Mapping) or own is None else setting_differences(saved, own)


def setting_differences(saved: Mapping, own: Mapping) -> list[str]:
    """List the settings, by dotted name, that differ between two encoders (see ``architecture_of``)."""
    return [
        f'{_short(name)} is {_short(theirs)}, not {ours}'
        for name, (theirs, ours) in config_difference.setting_differences(saved, own).items()
        if not name.endswith(_SPEED_ONLY)
    ]


def in_words(items: Sequence[str]) -> str:
    """Join the first ten items, and the number of the others, on one line."""
    shown = ', '.join(' '.join(item.split()) for item in items[:_SHOWN])
    return shown if len(items) <= _SHOWN else f'{shown} and {len(items) - _SHOWN} more'


def _short(value: object) -> str:
    return ' '.join(str(value).split())[:100]


def _fitting(
    model: nn.Module, path: str | Path, weights: Mapping[str, Tensor], differences: Sequence[str]
) -> dict[str, Tensor]:
    """Return the weights that fit by name, shape and kind, and log the differences."""
    expected, name = model.state_dict(), type(model).__name__
    fitting = {
        key: value for key, value in weights.items() if key in expected and not _misfit(key, value, expected[key])
    }
    if not fitting:
        raise CheckpointError(
            f'{path}: no weight at all fits {name} ({in_words(differences)}); use the config of its training.'
        )
    text = f'{path}: loaded in part, {len(fitting)} of {len(expected)} weights of {name}; differences: '
    print_log(text + ', '.join(differences), logger='current', level=logging.WARNING)
    return fitting


def damaged_file(path: Path, error: Exception) -> CheckpointError:
    """Create the one-line error for a file that cannot be read, or whose pickle refers to code."""
    reason = ' '.join((str(error) or type(error).__name__).split()).rstrip('.')
    if isinstance(error, pickle.UnpicklingError):  # torch's message suggests loading unsafely
        if found := re.search(r'GLOBAL ([\w.]+)|refers? to ([^\n]+)', str(error)):
            return CheckpointError(
                f'{path}: refused, because it refers to {(found[1] or found[2]).rstrip(".")} and could run code; use a '
                'file that contains only tensors, for example .safetensors.'
            )
        reason = 'neither weights of PyTorch nor .safetensors'
    return CheckpointError(f'{path}: is not a readable weights file ({reason[:200]}); download or write it again.')


def _existing(path: str | Path) -> Path:
    if (file := existing_file(path)) is None:
        raise CheckpointError(f'{path}: no such file; give the path of an existing weights file.')
    return file


def _weights(path: str | Path, content: dict) -> dict[str, Tensor]:
    nested = (content.get(key) for key in ('state_dict', 'model', 'net', 'teacher'))
    content = dict(next((value for value in nested if isinstance(value, Mapping)), content))
    if not content:
        raise CheckpointError(f'{path}: expected weights by name, found an empty file.')
    wrong = [repr(key) for key, value in content.items() if not (isinstance(key, str) and isinstance(value, Tensor))]
    if wrong:
        raise CheckpointError(
            f'{path}: expected weights by name, found entries that are no tensors: {in_words(wrong)}.'
        )
    if unusable := [name for name, value in content.items() if not _is_usable(value)]:
        raise CheckpointError(f'{path}: holds tensors that are sparse, quantized or empty: {in_words(unusable)}.')
    if all(name.startswith('module.') for name in content):
        content = {name.removeprefix('module.'): value for name, value in content.items()}
    return content


def _is_usable(value: Tensor) -> bool:
    """Check if a tensor can be copied into a weight: a plain one whose values are all in the file."""
    plain = not value.is_meta and value.layout is torch.strided and not value.is_quantized
    return plain and value.numel() * value.element_size() <= value.untyped_storage().nbytes()


def _check_archive(path: Path) -> None:
    """Refuse a compressed archive: PyTorch does not compress tensors, and a small file could fill the memory."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        claimed = sum(record.file_size for record in archive.infolist() if '/code/' not in record.filename)
    if claimed > path.stat().st_size:
        raise zipfile.BadZipFile(f'its records claim {claimed} bytes')


def _check_activation(model: nn.Module, path: str | Path, meta: Mapping) -> None:
    """Refuse a tower trained with another activation (``meta['tower']``), which shapes cannot show."""
    found = [meta.get('tower'), *(getattr(module, 'settings', None) for module in model.modules())]
    trained, *own = (part.get('activation') if isinstance(part, Mapping) else None for part in found)
    for activation in filter(None, own if trained else ()):
        if activation != trained:
            raise ConfigError(
                f'{path}: its tower was trained with {trained}, but the config has {activation!r}; change activation.'
            )
