"""Rates that the paper prints, as reading notes quote them; for their order alone."""

# success on the 32 curated prompts: (GPT-4, Claude v1.3)
CURATED = {
    "none": (0.03, 0.00),
    "prefix injection": (0.22, 0.00),
    "refusal suppression": (0.25, 0.16),
    "encoding": (0.34, 0.38),
    "role play": (0.75, 0.00),
    "combination 2": (0.69, 0.84),
    "combination 3": (0.94, 0.81),
    "adaptive": (1.00, 1.00),
}
CURATED_PROMPTS = 32
# on the 317 held-out ones: rate and printed half width, for the same two models
HELD_OUT = {
    "combination 3": ((0.93, 0.03), (0.87, 0.04)),
    "combination 2": ((0.86, 0.04), (0.89, 0.03)),
}
HELD_OUT_ADAPTIVE = (0.96, 0.99)
HELD_OUT_PROMPTS = 317
# what of ours stands beside which of theirs, in the order that both should have
BESIDE = {
    "none": "none",
    "prefix": "prefix injection",
    "encoding_1": "encoding",
    "prefix_encoding_1": "combination 3",
    "adaptive": "adaptive",
}
MODELS = ("GPT-4", "Claude v1.3")
SOURCE = "Wei et al. 2023, tables 1 and 2, as quoted in public reading notes"
