"""Recognize errors that report exhausted memory."""

import torch


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether an error reports that memory is exhausted."""
    phrases = ('out of memory', "can't allocate memory", 'bad_alloc', 'bad allocation')
    told = isinstance(error, RuntimeError) and any(phrase in str(error) for phrase in phrases)
    return told or isinstance(error, (MemoryError, torch.OutOfMemoryError))
