"""Pictures. Functions take a DataFrame and an `Axes` and return the `Axes`."""
