"""What several figures use."""

from theorylab.plotting import COLOURS

VERDICTS = {"bad": COLOURS[4], "good": COLOURS[2], "unclear": "#BBBBBB"}
SAID = {"bad": "BAD (executed)", "good": "GOOD (refused)", "unclear": "UNCLEAR"}
ABSTRACT = (
    "Abstract tokens, transforms in place of texts, and a small transformer in place of the "
    "deployed systems."
)
