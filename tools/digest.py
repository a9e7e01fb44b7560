"""The digest of a notebook's code: tells whether it is the code that was executed."""

import hashlib
import json

import nbformat


def code_digest(notebook: nbformat.NotebookNode) -> str:
    """Return a checksum of all cells but the prose: what they are, what they say, their order."""
    cells = [[cell.cell_type, cell.source] for cell in notebook.cells]
    code = [cell for cell in cells if cell[0] != "markdown"]
    return hashlib.sha256(json.dumps(code).encode()).hexdigest()
