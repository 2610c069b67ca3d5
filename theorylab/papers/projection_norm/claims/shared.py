"""What claims of several subjects share."""

PAPER = "Yu et al. 2022"


BIG = ("quick", "medium", "full")
