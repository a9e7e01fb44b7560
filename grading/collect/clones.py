"""When the last commit of a clone was made.

A student's repository brings its own configuration, which git would obey. So git reads the
student's objects, and nothing else of theirs, through an empty repository of ours.
"""

import os
import re
import subprocess
import tempfile
from datetime import datetime
from pathlib import Path

SHA = re.compile(r"[0-9a-f]{40}")
BRANCH = re.compile(r"ref: (refs/heads/[\w.][\w./-]*)")
ALONE = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}


def last_commit(clone: Path) -> str:
    """Return the date and time of the commit that is checked out, "" if it can't be told."""
    try:
        told = _asked(clone / ".git", _head(clone / ".git"))
        return datetime.fromisoformat(told.strip()).isoformat()
    except (OSError, ValueError, KeyError, subprocess.SubprocessError):
        return ""


def _head(folder: Path) -> str:
    """Return the name of the commit. Raises ValueError if there is none."""
    head = (folder / "HEAD").read_text("ascii").strip() if (folder / "HEAD").is_file() else ""
    if branch := BRANCH.fullmatch(head):
        loose = folder / branch[1]
        if loose.is_file() and ".." not in branch[1]:
            head = loose.read_text("ascii").strip()
        else:
            packed = (folder / "packed-refs").read_text("utf-8").splitlines()
            head = dict(line.split(" ")[1::-1] for line in packed if line[:1] != "#")[branch[1]]
    if not SHA.fullmatch(head):
        raise ValueError(f"{folder} tells no commit")
    return head


def _asked(folder: Path, commit: str) -> str:
    """Return what git says of a commit. Raises CalledProcessError if it isn't there."""
    with tempfile.TemporaryDirectory() as scratch:
        Path(scratch, "refs").mkdir()
        Path(scratch, "objects", "info").mkdir(parents=True)
        Path(scratch, "HEAD").write_text("ref: refs/heads/main\n")
        objects = folder.resolve() / "objects"
        Path(scratch, "objects", "info", "alternates").write_text(f"{objects}\n", "utf-8")
        done = subprocess.run(
            ["git", "--git-dir", scratch, "show", "--no-patch", "--format=%cI", commit],
            env=os.environ | ALONE, capture_output=True, text=True, check=True, timeout=60,
        )  # fmt: skip
        return done.stdout
