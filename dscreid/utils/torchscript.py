"""Read tensors from a TorchScript archive without running any of its code."""

import math
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

_DTYPES = {
    'FloatStorage': torch.float32, 'HalfStorage': torch.float16, 'BFloat16Storage': torch.bfloat16,
    'DoubleStorage': torch.float64, 'LongStorage': torch.int64, 'IntStorage': torch.int32,
    'ShortStorage': torch.int16, 'CharStorage': torch.int8, 'ByteStorage': torch.uint8, 'BoolStorage': torch.bool,
}  # fmt: skip


def is_torchscript(path: str | Path) -> bool:
    """Check if a file is an archive written by ``torch.jit.save``."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith('/constants.pkl') for name in archive.namelist())


def read_torchscript(path: str | Path) -> dict[str, Tensor]:
    """Read the parameters and buffers of a TorchScript archive, without running its code as ``torch.jit.load`` would.

    Returns:
        Tensors on the CPU by dotted name (``visual.conv1.weight``), dtypes as stored.

    Raises:
        pickle.UnpicklingError: If the object tree names anything that is not on the list.
        zipfile.BadZipFile: If the archive is damaged.
        KeyError: If a record is missing.
    """
    with zipfile.ZipFile(path) as archive:
        root = next(name for name in archive.namelist() if name.endswith('/data.pkl'))[: -len('data.pkl')]
        with archive.open(f'{root}data.pkl') as stream:
            module = _TreeUnpickler(stream, archive, root).load()
    return dict(_tensors(module))


class _Module:
    """Stand-in for any scripted module: it stores attributes and runs nothing."""

    def __setstate__(self, state: dict) -> None:
        if not isinstance(state, dict):
            raise pickle.UnpicklingError('a module whose state is not a dict')
        self.__dict__.update(state)


def _tensors(module: _Module, prefix: str = '') -> Iterator[tuple[str, Tensor]]:
    for name, value in vars(module).items():
        if isinstance(value, Tensor):
            yield prefix + name, value
        elif isinstance(value, _Module):
            yield from _tensors(value, f'{prefix}{name}.')


def _rebuild_tensor(storage: Tensor, offset: int, size: tuple, stride: tuple, *_) -> Tensor:
    # as_strided keeps the view inside the storage, but a stride of 0 could repeat it endlessly
    if math.prod(size) > storage.numel():
        raise pickle.UnpicklingError('a tensor with more elements than its record')
    return torch.as_strided(storage, size, stride, offset).contiguous()


_ALLOWED: dict[str, Any] = {
    'torch._utils._rebuild_tensor_v2': _rebuild_tensor,
    'collections.OrderedDict': OrderedDict,
    **{f'torch.jit._pickle.build_{kind}list': list for kind in ('int', 'double', 'bool')},
    'torch.jit._pickle.restore_type_tag': lambda value, *_: value,
}


class _TreeUnpickler(pickle.Unpickler):
    """Unpickler that only knows tensors, ordered dicts and anonymous modules."""

    def __init__(self, stream, archive: zipfile.ZipFile, root: str):
        super().__init__(stream)
        self._archive, self._root = archive, root
        self._storages: dict[str, Tensor] = {}

    def find_class(self, module: str, name: str):
        """Resolve a global of the pickle against the list of allowed names."""
        if module == '__torch__' or module.startswith('__torch__.'):
            return _Module
        if module == 'torch' and name in _DTYPES:
            return name
        if f'{module}.{name}' in _ALLOWED:
            return _ALLOWED[f'{module}.{name}']
        raise pickle.UnpicklingError(f'it refers to {module}.{name}')

    def persistent_load(self, reference: tuple) -> Tensor:
        """Read a tensor's storage from its record to the CPU, regardless of its original device."""
        kind, storage_type, key, _device, _count = reference
        if kind != 'storage' or storage_type not in _DTYPES:
            raise pickle.UnpicklingError(f'it holds a record of unknown kind {kind!r}')
        if key not in self._storages:
            data = bytearray(self._archive.read(f'{self._root}data/{key}'))
            dtype = _DTYPES[storage_type]
            self._storages[key] = torch.frombuffer(data, dtype=dtype) if data else torch.empty(0, dtype=dtype)
        return self._storages[key]
