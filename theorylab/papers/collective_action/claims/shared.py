"""What claims of several subjects share."""

PAPER, EARLIER = (
    "Ben-Dov, Fawkes, Samadi, Sanyal 2024",
    "Hardt, Mazumdar, Mendler-Dünner, Zrnic 2023",
)


BIG = ("quick", "full")
