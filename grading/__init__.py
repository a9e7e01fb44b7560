"""Marking a class. Its arrays are small, so that threads of libraries would only be in the way."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when NumPy and PyTorch are loaded
