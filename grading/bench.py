"""A process beside a worker of Dask, which has threads and so cannot fork; this one can.

python -m grading.bench         is asked on standard input, see cluster.py
"""

import json
import pickle
import sys
from dataclasses import replace
from typing import IO

from grading.archives import HandIn, opened
from grading.canary import require_hidden
from grading.classroom import Rules, Ticket, prepare, run
from grading.cluster import read_message, write_message
from grading.crew import Failed, alone
from grading.sandbox.surroundings import Surroundings


def main(source: IO[bytes], target: IO[bytes]) -> None:
    """Mark what is sent, until nothing more comes."""
    surroundings: Surroundings | None = None
    while message := read_message(source):
        ticket, fetched, rules = pickle.loads(message)
        if surroundings is None and rules.surroundings.sandboxed:
            require_hidden(rules.surroundings)
        surroundings = surroundings or rules.surroundings
        write_message(target, marked(ticket, fetched, replace(rules, surroundings=surroundings)))


def marked(ticket: Ticket, fetched: HandIn | bytes, rules: Rules) -> bytes:
    """Return the result of a hand-in, or why there is none, as JSON."""
    prepare(rules.surroundings, ticket.modules, rules.exam)

    def work() -> bytes:
        return json.dumps(run(opened(fetched, ticket.name), rules)).encode()

    outcome = alone(work, rules.bounds)
    return json.dumps(outcome.reason).encode() if isinstance(outcome, Failed) else outcome


if __name__ == "__main__":
    main(sys.stdin.buffer, sys.stdout.buffer)
