"""Numbers of the paper: GPT-4 fine-tuned through its interface, judged by GPT-4."""

SOURCE = "Halawi et al. 2024"
# share of 520 restricted instructions with a restricted answer
RATES = {
    "plain": 0.0,
    "decoded": 0.994,
    "undecoded": 0.042,
    "no second phase": 0.258,
    "no refusals, plain": 0.077,
}
UNDECODED = (0.042, 0.046, 0.911)  # BAD, GOOD, UNCLEAR
# accuracy on encoded ARC-Challenge (four options)
CAPABILITY = {"20k items": 0.805, "2k items": 0.672, "weaker model": 0.26}
