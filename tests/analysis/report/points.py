"""Five points of two arms, which most tests of the page show."""

# t0, t1 and t2 are the frontier of `a`, which t3 is not on; t4 is all of `b`.
PAIRS = [(1.0, 0.5), (2.0, 2.0), (3.0, 4.0), (2.9, 1.0), (2.5, 3.0)]
ARMS = ["a", "a", "a", "a", "b"]
