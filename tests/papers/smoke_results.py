"""The results of a room's own cells, and the same with some of their arrays damaged."""

import numpy as np

from theorylab.lab import Results, Row


def computed(paper, preset):
    """What `reproduce` would hand to figures and claims, computed here and now."""
    found = {}
    for experiment in paper.experiments:
        rows = []
        for cell in experiment.cells(preset):
            upstream = {
                keyword: next(row.arrays for row in found[name] if row.cell == wanted)
                for keyword, (name, wanted) in experiment.needs(cell).items()
            }
            arrays = experiment.run(**cell, **upstream)
            rows.append(Row(cell, {k: np.asarray(v) for k, v in arrays.items()}))
        found[experiment.name] = Results(tuple(rows))
    return found


def changed(results, experiment, **arrays):
    """The same results with some arrays of one experiment replaced by functions of themselves."""
    rows = tuple(
        Row(r.cell, {**r.arrays, **{k: change(r[k]) for k, change in arrays.items()}})
        for r in results[experiment]
    )
    return {**results, experiment: Results(rows)}
