"""Numbers read off figure 3 of the paper, as its repository has it; reading error about 5 %."""

# mean tau of safe and of unsafe prompts in the last three of six layers; about 0 in the first three
FIGURE_3 = {
    ("none", 0): ((1.4, -0.75), (1.1, -0.4), (0.55, -0.1)),
    ("unlearning", 1): ((2.0, -1.0), (18.0, -14.0), (53.0, -43.0)),
    ("dpo", 1): ((2.0, -1.0), (16.0, -10.0), (39.0, -25.0)),
    ("supervised", 1): ((1.6, -0.9), (2.5, -3.0), (1.9, -0.9)),
    ("dpo", 0): ((2.4, -1.2), (7.0, -2.3), (10.5, -2.0)),
    ("supervised", 0): ((1.45, -0.75), (1.6, -0.7), (1.3, -0.25)),
}
SOURCE = "Jain et al. 2024, figure 3, upper row"


def last_gap(protocol: str, rate: int) -> float:
    """Gap of mean tau in the last layer; rate 1 is the paper's medium learning rate, 0 its small
    one."""
    safe, unsafe = FIGURE_3[protocol, rate][-1]
    return safe - unsafe
