"""Models of binary images: a residual encoder and decoders that go pixel by pixel."""
