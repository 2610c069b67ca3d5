"""What figures of several subjects share."""

from theorylab.lab import Table


def distinct_numbers(table: Table, column: str) -> list[float]:
    """Distinct numbers of a column, increasing."""
    return sorted({float(v) for v in table[column]})
