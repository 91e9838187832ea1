"""What PyTorch computes within a block: its operators, and the largest tensor that they make."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

#: Operators that wait for a GPU: a value, or the size of a result, is needed on the host.
WAITING = {
    'aten::_local_scalar_dense', 'aten::nonzero', 'aten::is_nonzero', 'aten::item', 'aten::masked_select',
    'aten::_unique2', 'aten::unique_dim', 'aten::equal',
}  # fmt: skip


class DispatchRecord(TorchDispatchMode):
    """Records names of operators and the largest number of elements of a tensor that one returns.

    Indexing with a boolean mask is recorded as ``aten::nonzero``, which it calls on a GPU.
    """

    def __init__(self):
        super().__init__()
        self.names, self.largest, self.shapes = [], 0, set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function._schema.name
        indices = [i for i in tree_leaves(args[1:2]) if isinstance(i, torch.Tensor)]
        if name.startswith('aten::index') and any(i.dtype == torch.bool for i in indices):
            self.names.append('aten::nonzero')
        self.names.append(name)
        result = function(*args, **(kwargs or {}))
        for value in tree_leaves(result):
            # a view (an expanded one above all) is no memory of its own
            if isinstance(value, torch.Tensor) and 0 not in value.stride():
                self.largest = max(self.largest, value.numel())
                self.shapes.add(tuple(value.shape))
        return result

    def waiting(self):
        return sorted(set(self.names) & WAITING)
