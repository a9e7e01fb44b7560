"""What the notebooks import: one idea a module."""
