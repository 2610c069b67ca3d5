"""The report: one static site of every paper, figure, number and claim.

The documentation is on it too. The package also makes the records of verdicts.
"""

from theorylab.report.charts import charts
from theorylab.report.room import Room, Sources
from theorylab.report.site import Site, build, require_tools
from theorylab.report.stock import Stock, take_stock
from theorylab.report.verdicts import (
    Line,
    code_of_room,
    failed,
    lines,
    read_records,
    verify,
    write_records,
)

__all__ = [
    "Line",
    "Room",
    "Site",
    "Sources",
    "Stock",
    "build",
    "charts",
    "code_of_room",
    "failed",
    "lines",
    "read_records",
    "require_tools",
    "take_stock",
    "verify",
    "write_records",
]
