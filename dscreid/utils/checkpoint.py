"""Reading weights files: safely, strictly, and with messages that say what to do."""

import hashlib
import pickle
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor, nn

from dscreid.errors import CheckpointError, ConfigError
from dscreid.utils.files import existing_file
from dscreid.utils.safe_globals import allow_mmengine_globals, mmengine_globals_allowed
from dscreid.utils.torchscript import is_torchscript, read_torchscript

__all__ = [
    'allow_mmengine_globals',
    'list_differences',
    'load_checkpoint',
    'load_model_weights',
    'load_weights',
    'read_metadata',
    'sha256',
]

_SHOWN = 10


def sha256(path: str | Path) -> str:
    """Return a file's SHA-256 hash, hexadecimal.

    Args:
        path: A readable file.
    """
    digest = hashlib.sha256()
    with open(path, 'rb') as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def read_metadata(path: str | Path) -> dict[str, str]:
    """Return the metadata of a ``.safetensors`` file; empty for files of other kinds.

    Args:
        path: A weights file.

    Raises:
        CheckpointError: When the file is missing or damaged.
    """
    path = _existing(path)
    if path.suffix != '.safetensors':
        return {}
    try:
        with safe_open(path, framework='pt') as stream:
            return dict(stream.metadata() or {})
    except Exception as error:
        raise _damaged(path, error) from error


def load_checkpoint(path: str | Path) -> dict:
    """Read a weights file whole, without running anything that it contains.

    Pickles are read with ``weights_only=True`` and the names that MMEngine's need; TorchScript
    archives by their object tree; ``.safetensors`` by their own reader.

    Args:
        path: A ``.pth``/``.pt``/``.bin`` file, a TorchScript archive or a ``.safetensors`` file.

    Returns:
        What the file holds, tensors on the CPU: a checkpoint such as ``dict(state_dict=..., meta=...)`` or
        weights by name.

    Raises:
        CheckpointError: When the file is missing, damaged, holds no dict, or refers to code.
    """
    path = _existing(path)
    try:
        if path.suffix == '.safetensors':
            with safe_open(path, framework='pt') as stream:
                content = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
        elif is_torchscript(path):
            content = read_torchscript(path)
        else:
            with mmengine_globals_allowed():
                content = torch.load(path, map_location='cpu', weights_only=True)
    except pickle.UnpicklingError as error:
        raise _refused(path, error) from error
    except Exception as error:  # readers of damaged archives may raise anything
        raise _damaged(path, error) from error
    if not isinstance(content, Mapping):
        raise CheckpointError(f'{path}: expected a dict of weights, found {type(content).__name__}.')
    return dict(content)


def load_weights(path: str | Path) -> dict[str, Tensor]:
    """Read the weights of a file, wherever the file keeps them.

    They are looked for under the key 'state_dict', then 'model', else at the top; a prefix ``module.``
    (left by DistributedDataParallel) common to all names is removed.

    Args:
        path: See :func:`load_checkpoint`.

    Returns:
        Tensors on the CPU by name, dtypes as stored.

    Raises:
        CheckpointError: When the file cannot be read or holds no weights.
    """
    return _weights(path, load_checkpoint(path))


def load_model_weights(
    model: nn.Module,
    path: str | Path,
    *,
    allow_missing: Sequence[str] = (),
    ignore: Sequence[str] = (),
) -> None:
    """Load a file's weights into a model, strictly: all or nothing.

    Args:
        model: Changed in place, only when everything fits.
        path: See :func:`load_weights`.
        allow_missing: Prefixes of the model's weights that the file need not hold, such as
            ``'static_neck.'`` for a converted VLD checkpoint; they keep their values.
        ignore: Prefixes of the file's weights that are left out, such as ``'static_head.'``.

    Raises:
        CheckpointError: When the file cannot be read or is of another architecture; the message lists the
            differences.
        ConfigError: When the file says with which activation its tower was trained, and the model has
            another.
    """
    content = load_checkpoint(path)
    weights = _weights(path, content)
    weights = {name: value for name, value in weights.items() if not name.startswith(tuple(ignore))}
    differences = list_differences(model, weights, allow_missing)
    if differences:
        raise CheckpointError(
            f'{path}: does not fit {type(model).__name__} ({_some(differences)}); '
            f'use the config with which it was trained.'
        )
    _check_activation(model, path, content.get('meta'))
    model.load_state_dict(weights, strict=False)


def list_differences(
    model: nn.Module, weights: Mapping[str, Tensor], allow_missing: Sequence[str] = ()
) -> list[str]:
    """List why weights do not fit a model: missing, unexpected and mis-shaped ones; empty when they do.

    Args:
        model: The model.
        weights: Tensors by name.
        allow_missing: Prefixes of weights that may be missing.
    """
    expected = model.state_dict()
    missing = [
        f'missing {name}'
        for name in expected
        if name not in weights and not name.startswith(tuple(allow_missing))
    ]
    unexpected = [f'unexpected {name}' for name in weights if name not in expected]
    shapes = [
        f'{name} has shape {tuple(weights[name].shape)}, not {tuple(value.shape)}'
        for name, value in expected.items()
        if name in weights and weights[name].shape != value.shape
    ]
    return [*shapes, *missing, *unexpected]


def _existing(path: str | Path) -> Path:
    file = existing_file(path)
    if file is None:
        raise CheckpointError(f'{path}: no such file; give the path of an existing weights file.')
    return file


def _weights(path: str | Path, content: dict) -> dict[str, Tensor]:
    """Find the weights in a checkpoint's content; see :func:`load_weights`."""
    for key in ('state_dict', 'model'):
        if isinstance(content.get(key), Mapping):
            content = dict(content[key])
            break
    wrong = [
        repr(name)[1:-1] if isinstance(name, str) else repr(name)
        for name, value in content.items()
        if not isinstance(name, str) or not _is_plain(value)
    ]
    if wrong or not content:
        raise CheckpointError(
            f'{path}: expected weights by name, found '
            + (f'entries that are no tensors: {_some(wrong)}.' if wrong else 'an empty file.')
        )
    if all(name.startswith('module.') for name in content):
        content = {name.removeprefix('module.'): value for name, value in content.items()}
    return content


def _is_plain(value: object) -> bool:
    """Whether a value is a tensor that can be copied into a weight: neither sparse nor quantised."""
    return isinstance(value, Tensor) and value.layout is torch.strided and not value.is_quantized


def _check_activation(model: nn.Module, path: str | Path, meta: object) -> None:
    """Refuse what no shape can tell: a tower trained with another activation (``meta['tower']``)."""
    tower = meta.get('tower') if isinstance(meta, Mapping) else None
    trained = tower.get('activation') if isinstance(tower, Mapping) else None
    for module in model.modules():
        settings = getattr(module, 'settings', None)
        activation = settings.get('activation') if isinstance(settings, Mapping) else None
        if trained and activation and activation != trained:
            raise ConfigError(
                f'{path}: its tower was trained with {trained}; set activation={trained!r} in the tower of '
                f'the config, which has {activation!r}.'
            )


def _refused(path: Path, error: pickle.UnpicklingError) -> CheckpointError:
    """Tell a pickle that refers to code from one that is damaged."""
    text = str(error)
    found = re.search(r'GLOBAL ([\w.]+)', text) or re.search(r'refers? to ([^\n]+)', text)
    if found is None:
        return _damaged(path, error)
    return CheckpointError(
        f'{path}: refused, since it refers to {found[1].rstrip(".")} and so may run code when read; ask for '
        f'a file that holds tensors alone, for example .safetensors.'
    )


def _damaged(path: Path, error: Exception) -> CheckpointError:
    reason = ' '.join((str(error) or type(error).__name__).split()).rstrip('.')
    if isinstance(error, pickle.UnpicklingError):  # torch's text advises to load unsafely
        reason = 'neither weights of PyTorch nor .safetensors'
    return CheckpointError(f'{path}: is no readable weights file ({reason[:200]}); fetch or write it again.')


def _some(items: Sequence[str]) -> str:
    shown = ', '.join(items[:_SHOWN])
    return shown if len(items) <= _SHOWN else f'{shown} and {len(items) - _SHOWN} more'
