"""What all pictures share: colours, markers and greys that survive print and colour blindness."""

# Okabe and Ito's palette for all kinds of colour vision, without its yellow, which paper swallows.
COLOURS = (
    *("#0072b2", "#d55e00", "#009e73", "#cc79a7"),
    *("#e69f00", "#56b4e9", "#000000", "#999933"),
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X")  # one fewer than colours: 56 pairs before a repeat
GREY = "0.35"
