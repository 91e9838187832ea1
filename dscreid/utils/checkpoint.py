"""Reading weights files: safely, strictly, and with messages that say what to do."""

import hashlib
import logging
import pickle
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from mmengine.logging import print_log
from safetensors import safe_open
from torch import Tensor, nn

from dscreid.errors import CheckpointError, ConfigError
from dscreid.utils.files import existing_file
from dscreid.utils.safe_globals import allow_mmengine_globals, mmengine_globals_allowed
from dscreid.utils.torchscript import is_torchscript, read_torchscript

__all__ = [
    'ARCHITECTURE_KEY',
    'allow_mmengine_globals',
    'damaged_file',
    'in_words',
    'list_differences',
    'list_setting_differences',
    'load_checkpoint',
    'load_model_weights',
    'load_weights',
    'meta_of',
    'read_metadata',
    'sha256',
]

#: Where a checkpoint's ``meta`` keeps the settings of its model (``architecture`` of the model).
ARCHITECTURE_KEY = 'architecture'
#: A setting that changes no result but its rounding, and that checkpoints held for a while.
_SPEED_ONLY = '.compile_blocks'
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
        raise damaged_file(path, error) from error


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
        raise damaged_file(path, error) from error
    if not isinstance(content, Mapping):
        raise CheckpointError(f'{path}: expected a dict of weights, found {type(content).__name__}.')
    return dict(content)


def meta_of(content: Mapping) -> Mapping:
    """What a checkpoint says of itself under ``meta``; empty for one that says nothing."""
    meta = content.get('meta')
    return meta if isinstance(meta, Mapping) else {}


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
    partial: bool = False,
) -> None:
    """Load a file's weights into a model, strictly: all or nothing, unless ``partial`` asks for less.

    Args:
        model: Changed in place, only when everything fits.
        path: See :func:`load_weights`.
        allow_missing: Prefixes of the model's weights that the file need not hold, such as
            ``'static_neck.'`` for a converted VLD checkpoint; they keep their values.
        ignore: Prefixes of the file's weights that are left out, such as ``'static_head.'``.
        partial: Load the weights whose name and shape fit, and warn with the list of all others.

    Raises:
        CheckpointError: When the file cannot be read or is of another architecture; the message lists the
            differences. With ``partial`` only when no weight at all fits.
        ConfigError: When the file says with which activation its tower was trained, and the model has
            another.
    """
    content = load_checkpoint(path)
    weights = _weights(path, content)
    weights = {name: value for name, value in weights.items() if not name.startswith(tuple(ignore))}
    differences = list_setting_differences(model, content) + list_differences(model, weights, allow_missing)
    if differences and partial:
        weights = _fitting(model, path, weights, differences)
    elif differences:
        raise CheckpointError(
            f'{path}: does not fit {type(model).__name__} ({in_words(differences)}); '
            f'use the config with which it was trained.'
        )
    _check_activation(model, path, meta_of(content))
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


def list_setting_differences(model: nn.Module, content: Mapping) -> list[str]:
    """List the settings in which the model that a checkpoint was made with differs, such as a number of heads.

    Args:
        model: The model; one without ``architecture`` differs in nothing.
        content: A checkpoint; files that say nothing of their model (other projects', older ones) differ in nothing.
    """
    saved = meta_of(content).get(ARCHITECTURE_KEY)
    own = getattr(model, 'architecture', None)
    if not isinstance(saved, Mapping) or own is None:
        return []
    unset = 'unset'
    return [
        f'{_short(name)} is {_short(saved.get(name, unset))}, not {own.get(name, unset)}'
        for name in {**own, **saved}
        if not str(name).endswith(_SPEED_ONLY) and not _equal(saved.get(name, unset), own.get(name, unset))
    ]


def in_words(items: Sequence[str]) -> str:
    """The first ten of a list and how many more there are, on one line, whatever names a file holds."""
    shown = ', '.join(' '.join(item.split()) for item in items[:_SHOWN])
    return shown if len(items) <= _SHOWN else f'{shown} and {len(items) - _SHOWN} more'


def _equal(saved: object, own: object) -> bool:
    try:
        return bool(saved == own)
    except (RuntimeError, ValueError, TypeError):  # a tensor, which no setting is
        return False


def _short(value: object) -> str:
    return ' '.join(str(value).split())[:100]


def _fitting(
    model: nn.Module, path: str | Path, weights: Mapping[str, Tensor], differences: Sequence[str]
) -> dict[str, Tensor]:
    """The weights that fit by name and shape; says which do not."""
    expected = model.state_dict()
    fitting = {
        name: value
        for name, value in weights.items()
        if name in expected and expected[name].shape == value.shape
    }
    if not fitting:
        raise CheckpointError(
            f'{path}: no weight at all fits {type(model).__name__} ({in_words(differences)}); '
            'use the config with which it was trained.'
        )
    print_log(
        f'{path}: loaded in part, {len(fitting)} of {len(expected)} weights of {type(model).__name__}; '
        f'differences: {", ".join(differences)}',
        logger='current',
        level=logging.WARNING,
    )
    return fitting


def damaged_file(path: Path, error: Exception) -> CheckpointError:
    """The error that says of a file that it cannot be read, in one line."""
    reason = ' '.join((str(error) or type(error).__name__).split()).rstrip('.')
    if isinstance(error, pickle.UnpicklingError):  # torch's text advises to load unsafely
        reason = 'neither weights of PyTorch nor .safetensors'
    return CheckpointError(f'{path}: is no readable weights file ({reason[:200]}); fetch or write it again.')


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
            + (f'entries that are no tensors: {in_words(wrong)}.' if wrong else 'an empty file.')
        )
    if all(name.startswith('module.') for name in content):
        content = {name.removeprefix('module.'): value for name, value in content.items()}
    return content


def _is_plain(value: object) -> bool:
    """Whether a value is a tensor that can be copied into a weight: neither sparse nor quantised."""
    return isinstance(value, Tensor) and value.layout is torch.strided and not value.is_quantized


def _check_activation(model: nn.Module, path: str | Path, meta: Mapping) -> None:
    """Refuse what no shape can tell: a tower trained with another activation (``meta['tower']``)."""
    tower = meta.get('tower')
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
        return damaged_file(path, error)
    return CheckpointError(
        f'{path}: refused, since it refers to {found[1].rstrip(".")} and so may run code when read; ask for '
        f'a file that holds tensors alone, for example .safetensors.'
    )
