"""Models of binary images: decoders that go pixel by pixel, and one of independent pixels."""
