"""Row blocks of a matrix that is too large to be stored as a whole."""

#: Elements per block: 2**24 float32 values are 64 MiB, large enough for an efficient matrix product.
CHUNK_ELEMENTS = 2**24


def row_chunks(num_rows: int, num_columns: int) -> list[slice]:
    """Split ``num_rows`` rows into blocks that fit ``CHUNK_ELEMENTS`` with ``num_columns`` columns, or of one row."""
    return slices(num_rows, max(1, CHUNK_ELEMENTS // max(1, num_columns)))


def slices(total: int, size: int) -> list[slice]:
    """Split ``range(total)`` into slices of ``size``; the last one may be shorter."""
    return [slice(start, min(start + size, total)) for start in range(0, total, size)]
