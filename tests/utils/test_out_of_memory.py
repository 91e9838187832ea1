"""Errors that report exhausted memory."""

from dscreid.utils.out_of_memory import is_out_of_memory


def test_which_errors_speak_of_memory():
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(RuntimeError('CUDA out of memory'))
    assert not is_out_of_memory(RuntimeError('shapes differ'))
    assert not is_out_of_memory(None)
