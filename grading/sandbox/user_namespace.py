"""Runs a command in a user namespace of its own, for root, who has two users there.

    python user_namespace.py USER COMMAND ...

User 0 is root, for as long as the sandbox is being made; user 1000 is USER, whom nobody else is.
"""

import ctypes
import os
import sys

NEW_USERS = 0x10000000


def main(user: str, command: list[str]) -> None:
    """Become the command. Raises OSError if there is no such namespace."""
    parent = os.getpid()
    made, is_made = os.pipe()
    child = os.fork()
    if child == 0:  # this one stays outside, for only from there users can be named
        os.close(is_made)
        if os.read(made, 1):
            for kind in ("uid", "gid"):
                with open(f"/proc/{parent}/{kind}_map", "w") as file:
                    file.write(f"0 0 1\n1000 {user} 1\n")
        os._exit(0)
    library = ctypes.CDLL(None, use_errno=True)
    if library.unshare(NEW_USERS):
        raise OSError(ctypes.get_errno(), f"no user namespace: {os.strerror(ctypes.get_errno())}")
    os.write(is_made, b"!")
    os.waitpid(child, 0)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
