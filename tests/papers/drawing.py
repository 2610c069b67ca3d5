"""Draws a figure of a room as `reproduce` does: from its CSV, in the house style."""

from theorylab.lab import Table
from theorylab.plotting import house_style


def assert_drawn(figure, results, preset):
    """The table has rows, and what is drawn of it shows something, data or words."""
    table = figure.table({name: results[name] for name in figure.needs}, preset)
    with house_style():
        picture = figure.draw(Table.from_csv(table.to_csv()))
    assert len(table) and picture.axes
    assert any(axes.has_data() or axes.texts for axes in picture.axes)
