"""Human-readable sizes and durations."""


def size_text(num_bytes: float) -> str:
    """Format bytes in the largest of KiB, MiB and GiB that gives at least 1."""
    for unit, factor in (('GiB', 2**30), ('MiB', 2**20)):
        if num_bytes >= factor:
            return f'{num_bytes / factor:.1f} {unit}'
    return f'{num_bytes / 1024:.0f} KiB'


def duration_text(seconds: float) -> str:
    """Format a duration in seconds, minutes or hours."""
    if seconds >= 3600:
        return f'{seconds / 3600:.1f} h'
    return f'{seconds / 60:.1f} min' if seconds >= 60 else f'{seconds:.1f} s'
