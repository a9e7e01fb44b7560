"""The page to play with, and the reading of photos of handwriting."""
