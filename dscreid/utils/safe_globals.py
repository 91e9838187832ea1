"""The globals that MMEngine's checkpoints need under ``torch.load(weights_only=True)``.

mmengine 0.10.7 pickles its message hub: ``HistoryBuffer`` objects with NumPy arrays and, as ``getattr(HistoryBuffer,
'mean')``, their statistics. ``tests/utils/test_checkpoint.py`` fails as soon as this workaround is no longer needed.
"""

import pickle

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

_STATISTICS = ('min', 'max', 'current', 'mean')


def _history_buffer_statistic(owner: type, name: str):
    """Replace ``getattr`` while a checkpoint is read: only the statistics are allowed."""
    if owner is not HistoryBuffer or name not in _STATISTICS:
        raise pickle.UnpicklingError(f'it refers to attribute {name!r} of {owner!r}')
    return getattr(HistoryBuffer, name)


def mmengine_globals() -> list:
    """List the globals of MMEngine's checkpoints: callables, or pairs of a callable and its name in the pickle.

    NumPy 1 and 2 read each other's checkpoints.
    """
    numpy_functions = {'_reconstruct': np.zeros(1).__reduce__()[0], 'scalar': np.float64(0).__reduce__()[0]}
    # histories contain float64 and int64; the others occur as scalars, such as a metric of type float32
    dtypes = {type(np.dtype(kind)) for kind in ('f8', 'f4', 'i8', 'i4', '?')}
    return [
        HistoryBuffer,
        (_history_buffer_statistic, 'builtins.getattr'),
        np.ndarray,
        np.dtype,
        *sorted(dtypes, key=lambda kind: kind.__name__),
        *((function, f'numpy.core.multiarray.{name}') for name, function in numpy_functions.items()),
        *((function, f'numpy._core.multiarray.{name}') for name, function in numpy_functions.items()),
    ]


def allow_mmengine_globals() -> None:
    """Let ``torch.load``, also in ``Runner.resume``, read MMEngine's checkpoints, for the whole process."""
    torch.serialization.add_safe_globals(mmengine_globals())
