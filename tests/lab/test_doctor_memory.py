"""The doctor's memory: never more than is free."""

import resource

import pytest
import torch

from dscreid.lab.doctor import memory
from dscreid.lab.doctor.memory import within_free_memory
from dscreid.utils.out_of_memory import is_out_of_memory

CPU = torch.device('cpu')


def test_what_is_not_free_cannot_be_taken(monkeypatch):
    before = resource.getrlimit(resource.RLIMIT_DATA)
    monkeypatch.setattr(memory, 'free_memory', lambda: 456 * 2**20)  # 256 MiB are reserved
    with within_free_memory(CPU):
        torch.empty(50 * 2**20, dtype=torch.uint8)
        with pytest.raises(RuntimeError) as error:
            torch.empty(2**30, dtype=torch.uint8)
        with pytest.raises(MemoryError):
            bytearray(2**30)
    assert is_out_of_memory(error.value)
    assert resource.getrlimit(resource.RLIMIT_DATA) == before
    torch.empty(2**30, dtype=torch.uint8)  # the limit is gone
