"""What several figures use."""

from theorylab.papers.safety_finetuning.tables import NAMES
from theorylab.plotting import COLOURS, DASHES, MARKERS

SAFE, UNSAFE = COLOURS[2], COLOURS[3]
KIND = {"safe": SAFE, "unsafe": UNSAFE}
MINI = (
    "A mini world and a transformer of 3 layers at the quick preset; the paper has 30 letters, 16 "
    "operators and 6 layers."
)
SETS = {
    "safe": "safe",
    "unsafe": "unsafe",
    "competing_tasks": "competing tasks",
    "mixed_text": "mixed text",
    "synonyms": "synonyms",
    "encoded": "encoded",
    "held_out_text": "held-out text",
    "safe_synonyms": "safe, synonyms",
    "safe_encoded": "safe, encoded",
    "soft_tokens": "soft tokens",
}


def style(protocol: str) -> dict[str, object]:
    """Colour, dash and marker of a protocol."""
    i = list(NAMES).index(protocol)
    return {"color": COLOURS[i], "ls": DASHES[i % len(DASHES)], "marker": MARKERS[i]}
