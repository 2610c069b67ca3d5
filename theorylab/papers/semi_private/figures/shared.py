"""What several figures use."""

from theorylab.plotting import COLOURS, MARKERS

LEVELS = {0.0: "no privacy", 0.7: "ε = 0.7", 0.1: "ε = 0.1"}
STYLE = {
    epsilon: {"color": COLOURS[k], "marker": MARKERS[k], "label": name}
    for k, (epsilon, name) in enumerate(LEVELS.items())
}
