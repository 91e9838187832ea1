"""Tables in Markdown."""

from collections.abc import Sequence


def markdown_table(lines: Sequence[Sequence[str]]) -> str:
    """Format lines of cells, of which the second has the alignments; bars within a cell are replaced."""
    return '\n'.join(f'| {" | ".join(cell.replace("|", "∣") for cell in line)} |' for line in lines)
