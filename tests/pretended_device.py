"""A pretended GPU: tensors say ``cuda``, compute on the processor, and refuse what a GPU refuses.

An operation on tensors of both devices raises, as on a GPU, and each place where the host would wait for the GPU is
noted with its line. PyTorch itself sees tensors of the device ``meta``, each of which holds a plain tensor.
"""

import sys
from collections import Counter
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest.mock import patch

import mmengine.device.utils
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten
CUDA = torch.device('cuda', 0)
HOST = torch.device('cpu')
_INSIDE = torch.device('meta')
MEMORY = 2**37
#: Frames of these files are not the place where something waits.
_SKIPPED = (str(Path(torch.__file__).parent), __file__)
_COPIES = {aten.copy_.default, aten._to_copy.default}
#: The indices of these may be on the host, which waits until they are copied.
_INDEXING = {
    aten.index.Tensor, aten._unsafe_index.Tensor, aten.index_put.default, aten.index_put_.default,
    aten._index_put_impl_.default,
}  # fmt: skip
#: These read a value, or find the size of their result, on the host.
_READING = {
    '_local_scalar_dense', 'nonzero', 'is_nonzero', 'masked_select', '_unique2', 'unique_dim', 'unique_consecutive',
    'equal', 'bincount', 'repeat_interleave', 'histc', 'multinomial',
}  # fmt: skip


class HostWaits(AssertionError):
    """The host would wait for the GPU within a block that must not."""


class PretendedTensor(torch.Tensor):
    """A tensor of the pretended device; its attribute ``values`` is the plain tensor that it stands for."""

    device = property(lambda self: CUDA)
    is_cuda = property(lambda self: True)
    is_cpu = property(lambda self: False)
    is_meta = property(lambda self: False)

    @staticmethod
    def __new__(cls, values):
        layout = dict(strides=values.stride(), storage_offset=values.storage_offset(), dtype=values.dtype)
        made = torch.Tensor._make_wrapper_subclass(cls, values.size(), device='meta', **layout)
        made.values = values.detach()
        return made

    def __repr__(self):
        return f'PretendedTensor({self.values})'

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        if function in (torch.Tensor.numpy, torch.Tensor.__array__):
            raise TypeError("can't convert cuda:0 device type tensor to numpy; use Tensor.cpu() first")
        if function is torch.Tensor.tolist:
            return args[0].cpu().tolist()
        if function in (torch.Tensor.__getitem__, torch.Tensor.__setitem__):
            args = (args[0], _index_of(args[1]), *args[2:])
        with torch._C.DisableTorchFunctionSubclass():
            return function(*args, **(kwargs or {}))

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        raise RuntimeError(f'{function} on a tensor of the pretended device outside of pretended_gpu()')


def _index_of(index):
    """Turn lists in an index into tensors of the host, which PyTorch would make on meta."""
    if isinstance(index, tuple):
        return tuple(_index_of(part) for part in index)
    return torch.tensor(index) if isinstance(index, list) else index


def _mapped(function, value):
    """Apply a function to all tensors of an operator's arguments or results."""
    if isinstance(value, torch.Tensor):
        return function(value)
    if isinstance(value, (tuple, list)):
        return type(value)(_mapped(function, part) for part in value)
    return value


class _DeviceNames(TorchFunctionMode):
    """Gives PyTorch the device ``meta`` in the place of ``cuda``, of which it would ask the driver."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if function is torch.Tensor.cuda:
            function, args = torch.Tensor.to, (args[0], _INSIDE)
            kwargs = {'non_blocking': kwargs.get('non_blocking', False)}
        if function is torch.Tensor.pin_memory:
            return args[0]
        places = isinstance(kwargs.get('device'), (str, torch.device))
        if places and torch.device(kwargs['device']).type == 'cuda':
            if function in (torch.tensor, torch.as_tensor):  # which have no values on meta
                return function(*args, **{**kwargs, 'device': HOST}).to(_INSIDE)
            kwargs['device'] = _INSIDE
        if function is torch.Tensor.to:
            args = tuple(_INSIDE if isinstance(one, str) and one.startswith('cuda') else one for one in args)
        args = tuple(_INSIDE if isinstance(one, torch.device) and one.type == 'cuda' else one for one in args)
        return function(*args, **kwargs)


class PretendedGPU(TorchDispatchMode):
    """Computes all operations, and notes where the host waits.

    Attributes:
        waits: How often the host waits, by place and operation, such as ``'dscreid/models/a.py:12 nonzero'``.
        operations: Number of operations on the pretended device.
    """

    def __init__(self):
        super().__init__()
        self.waits, self.operations, self._forbidden = Counter(), 0, None

    @contextmanager
    def without_waiting(self, *but_at):
        """Raise HostWaits where the host waits within the block, except at places that contain one of some texts."""
        before, self._forbidden = self._forbidden, but_at
        try:
            yield
        finally:
            self._forbidden = before

    def note_wait(self, what):
        place = f'{_place()} {what}'
        self.waits[place] += 1
        if self._forbidden is not None and not any(text in place for text in self._forbidden):
            raise HostWaits(f'the host waits for the GPU at {place}')

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        tensors: list[torch.Tensor] = []
        _mapped(tensors.append, (*args, *kwargs.values()))
        on_gpu = any(isinstance(tensor, PretendedTensor) for tensor in tensors)
        returns_gpu = on_gpu
        if function is aten.copy_.default:
            returns_gpu = isinstance(args[0], PretendedTensor)
        elif kwargs.get('device') is not None:
            returns_gpu = torch.device(kwargs['device']).type != 'cpu'
            kwargs |= {'device': HOST, **({'pin_memory': False} if 'pin_memory' in kwargs else {})}
        if not on_gpu and not returns_gpu:
            return function(*args, **kwargs)
        self.operations += 1
        self._check(function, args, kwargs, tensors, returns_gpu)
        wrappers = {id(tensor.values): tensor for tensor in tensors if isinstance(tensor, PretendedTensor)}

        def plain(tensor):
            return tensor.values if isinstance(tensor, PretendedTensor) else tensor

        kwargs = {name: _mapped(plain, value) for name, value in kwargs.items()}
        result = function(*_mapped(plain, args), **kwargs)
        if not returns_gpu:
            return result

        def wrapped(value):
            # what is changed in place stays the same tensor
            return wrappers[id(value)] if id(value) in wrappers else PretendedTensor(value)

        return _mapped(wrapped, result)

    def _check(self, function, args, kwargs, tensors, returns_gpu):
        """Raise if an operation mixes devices, and note if the host waits for it."""
        name = function._schema.name.removeprefix('aten::')
        on_host = [tensor for tensor in tensors if not isinstance(tensor, PretendedTensor)]
        if function in _COPIES:
            source = args[1] if function is aten.copy_.default else args[0]
            crosses = isinstance(source, PretendedTensor) != returns_gpu
            if crosses and not _is_asynchronous(function, args, kwargs):
                self.note_wait('copy to the GPU' if returns_gpu else 'copy to the host')
            return
        if function in _INDEXING:
            indices = [index for index in args[1] if index is not None]
            on_host = [tensor for tensor in on_host if not any(tensor is index for index in indices)]
            if any(index.dtype in (torch.bool, torch.uint8) for index in indices):
                self.note_wait('indexing with a mask')
            elif any(not isinstance(index, PretendedTensor) for index in indices):
                self.note_wait('indexing with indices of the host')
        elif name in _READING:
            self.note_wait('reading a value' if name == '_local_scalar_dense' else name)
        if any(tensor.dim() for tensor in on_host):
            devices = 'found at least two devices, cuda:0 and cpu'
            raise RuntimeError(f'{name}: expected all tensors to be on the same device, but {devices}')


def _is_asynchronous(function, args, kwargs):
    return bool(kwargs.get('non_blocking', args[2] if function is aten.copy_.default and len(args) > 2 else False))


def _place():
    """File and line that called PyTorch; the file is relative to the folder of its package's folder."""
    frame = sys._getframe()
    while frame.f_code.co_filename.startswith(_SKIPPED):
        frame = frame.f_back
    path = Path(frame.f_code.co_filename)
    return f'{"/".join(path.parts[-3:])}:{frame.f_lineno}'


@contextmanager
def pretended_gpu():
    """Within the block, PyTorch and MMEngine find one GPU, the pretended one; yields the ``PretendedGPU``."""
    answers = {
        '_lazy_init': None,
        'is_available': True,
        'device_count': 1,
        'current_device': 0,
        'is_bf16_supported': True,
        'is_current_stream_capturing': False,
        'mem_get_info': (MEMORY, MEMORY),
        'max_memory_allocated': 0,
        'max_memory_reserved': 0,
        'memory_allocated': 0,
        'reset_peak_memory_stats': None,
        'empty_cache': None,
        'get_device_name': 'pretended GPU',
        'manual_seed': None,
        'manual_seed_all': None,
    }
    gpu = PretendedGPU()
    with ExitStack() as stack:
        for name, answer in answers.items():
            stack.enter_context(patch.object(torch.cuda, name, lambda *_, answer=answer, **__: answer))
        stack.enter_context(patch.object(torch.cuda, 'synchronize', lambda *_: gpu.note_wait('synchronize')))
        stack.enter_context(patch.object(mmengine.device.utils, 'DEVICE', 'cuda'))
        stack.enter_context(gpu)
        stack.enter_context(_DeviceNames())
        yield gpu
