"""Blocks of rows of a matrix that is never held as a whole."""

#: Entries of a block: 2**24 float32 values are 64 MiB, large enough to keep a matrix product busy.
CHUNK_ELEMENTS = 2**24


def row_chunks(num_rows: int, num_columns: int) -> list[slice]:
    """Slices of ``num_rows`` rows, such that a block of ``num_columns`` columns holds ``CHUNK_ELEMENTS``."""
    return slices(num_rows, max(1, CHUNK_ELEMENTS // max(1, num_columns)))


def slices(total: int, size: int) -> list[slice]:
    """``range(total)`` in slices of ``size``, the last one shorter where it must be."""
    return [slice(start, min(start + size, total)) for start in range(0, total, size)]
