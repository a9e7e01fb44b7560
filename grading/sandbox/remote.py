"""A student's functions and objects, living in a worker, as the checks call them.

The checks run here, on random inputs that the worker sees only as arguments, and compare with
oracles that it never sees. Student code can write to the pipe whatever it likes, and guess or read
the token that marks an answer: nothing rests on an answer being authentic. A mark comes only from
numbers that were computed anew on this side, so that a forged answer must be the right answer.
What can be seen from outside is bounded: sizes, shapes, types, times, and answers unasked for.
"""

import builtins
import os
import secrets
import select
import signal
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np

from grading.sandbox import protocol
from grading.sandbox.adapters import Adapter, StandIn, Told, adapter_for, require_few
from grading.sandbox.calls import filter_of_calls
from grading.sandbox.limits import Budget, Limits, MarkerError
from grading.sandbox.processes import START_SECONDS, WorkerProcess
from grading.sandbox.watch import POLL, TimeLimit, Watch, WorkerError

Array = np.ndarray
MAX_QUESTIONS = 50_000  # calls of a spy in one call of the student's function
MAX_RECEIVED = 1 << 27  # bytes, likewise
PIPE_BYTES = 1 << 16  # that a pipe holds
BASES = {
    name: value
    for name, value in vars(builtins).items()
    if isinstance(value, type) and issubclass(value, Exception)
}


class Ended(WorkerError):  # noqa: N818  # students read these names
    """The process of the student's code ended."""


class Disturbed(WorkerError):  # noqa: N818
    """Something else than an answer came."""


class Session:
    """A worker with one hand-in, from its start to the first time that it fails.

    What its calls use counts in `budget`, which the workers of a hand-in have together.
    """

    def __init__(
        self, process: WorkerProcess, files: Mapping[str, bytes], libraries: Sequence[str],
        limits: Limits, budget: Budget | None = None,
    ) -> None:  # fmt: skip
        self.process, self.limits = process, limits
        self.budget = budget or Budget(limits.hand_in_seconds, 1)
        self.watch = Watch(process, limits, self.budget)
        self.failure: WorkerError | None = None
        self.is_fresh = True  # until something else than an import has run in it
        self.received, self.largest, self.unread = 0, protocol.MAX_ANSWER, bytearray()
        self.adapters: dict[int, Adapter] = {}
        self.stand_ins: dict[str, StandIn] = {}
        self.watch.start()
        try:
            self.request(
                "start", seconds=START_SECONDS, files=dict(files), libraries=list(libraries),
                uid=process.place.user, limits=limits.of_the_system(),
                filter=filter_of_calls() if process.place.is_sandbox else b"",
            )  # fmt: skip
        except Exception as error:
            words = process.server.last_words()
            raise MarkerError(f"A worker did not start: {error} {words}") from error
        self.watch.begin_to_charge()

    @property
    def is_over(self) -> bool:
        """Whether the worker has failed, or been ended between two calls."""
        return bool(self.failure or self.watch.reason)

    def settle(self) -> None:
        """Charge what processes have computed beside all calls, until this very moment."""
        if not self.failure:
            self.watch.settle()

    # Requests.

    def load(self, module: str, name: str, without: Sequence[str] = ()) -> "Remote":
        """Return what the student's module calls `name`; modules `without` are left empty."""
        hollow = [f"helpers.{other}" for other in without]
        found: Remote = self.request("load", module=f"helpers.{module}", name=name, hollow=hollow)
        return found

    def stand_in(self, functions: Mapping[str, Callable[..., Any]]) -> None:
        """Put right functions in the place of the student's, by name: "accuracy", "MLP.forward"."""
        self.stand_ins = {name: StandIn(function) for name, function in functions.items()}
        self.request("replace", names=list(functions))

    def call(
        self, target: "Remote", method: str, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Any:
        """Call a remote object or its method; arrays and spies among `args` change as there."""
        self.adapters = {}
        answer = self.request(
            "call", target=target, method=method, args=tuple(args), kwargs=dict(kwargs)
        )
        try:
            for number, now in answer["changed"].items():
                args[int(number)][...] = now
            for number, state in answer["spies"].items():
                self.adapters[int(number)].update(state)
            result = answer["result"]
            if answer["learns"] is True and hasattr(result, "requires_grad_"):
                result.requires_grad_()  # what gradients are asked of there, they are here
            return result
        except (KeyError, ValueError, TypeError, IndexError, AttributeError, RuntimeError):
            self._fail(Disturbed("an answer of the wrong form came"))

    def get(self, target: "Remote", name: str) -> Any:
        """Return an attribute: a value, or something to call."""
        answer = self.request("get", target=target, name=name)
        if not (isinstance(answer, dict) and isinstance(answer.get("callable"), bool)):
            self._fail(Disturbed("an answer of the wrong form came"))
        if answer["callable"]:
            return Method(target, name)
        value = answer.get("value")
        return RemoteArray.of(value, target, name) if isinstance(value, np.ndarray) else value

    def items(self, target: "Remote") -> list[Any]:
        """Return what an object gives one after the other."""
        found = self.request("items", target=target)
        if not isinstance(found, list):
            self._fail(Disturbed("an answer of the wrong form came"))
        return found

    def request(self, what: str, *, seconds: float | None = None, **fields: Any) -> Any:
        """Send a request and return the answer's value; raise what the student's code raised.

        Raises WorkerError if the worker fails, from then on for every request.
        """
        if self.failure:
            raise type(self.failure)(*self.failure.args)
        if seconds is None and self.budget.left <= 0:
            raise TimeLimit("the time for this exercise is used up")
        self.is_fresh &= what in ("start", "load")
        token = secrets.randbits(60)
        frame = protocol.pack({"do": what, "id": token, **fields}, self._send)
        limit = seconds or min(self.limits.call_seconds, self.budget.left)
        self.received = 0
        try:
            with self.watch.timing(limit, counts=seconds is None):
                if self.unread or self._is_ready([self.process.source], [], 0):
                    self._read(1)
                    raise Disturbed("an answer came before the question")
                self._write(frame)
                answer = self._answer(token)
        except WorkerError as error:
            self._fail(error)
        except protocol.ProtocolError as error:
            self._fail(Disturbed(f"instead of an answer came {error}"))
        if "error" in answer:
            raise rebuilt(answer["error"])
        return answer.get("value")

    def _answer(self, token: int) -> dict[str, Any]:
        """Return the answer, after answering what the student's code asks the spies meanwhile."""
        for _ in range(MAX_QUESTIONS):
            message = self._next()
            if message.get("id") == token:
                return message
            if message.get("ask") != token:
                raise Disturbed("an answer came that nobody asked for")
            self._write(protocol.pack(self._ask_spy(message)))
        raise Disturbed(f"the network was called more than {MAX_QUESTIONS:,} times")

    def _ask_spy(self, message: Mapping[str, Any]) -> dict[str, Any]:
        try:
            if message["spy"] in self.stand_ins:
                stand_in = self.stand_ins[message["spy"]]
                return {"value": stand_in.answer(message["args"], self.adapters)}
            adapter, method = self.adapters[message["spy"]], message["method"]
            require_few(message["args"])
            return {"value": adapter.answer(method, message["args"])}
        except Exception as error:
            return {"error": f"{type(error).__name__}: {str(error)[:500]}"}

    def _fail(self, error: WorkerError) -> NoReturn:
        self.settle()
        self.failure = error
        self.process.close()
        raise error

    def _send(self, value: Any) -> Any:
        if isinstance(value, Remote):
            return {"object": value._number}
        if isinstance(value, np.random.Generator):  # as it was when it was made
            return {"generator": value.bit_generator.seed_seq.entropy}  # type: ignore[attr-defined]
        number = len(self.adapters)
        self.adapters[number] = adapter_for(value)
        return {"spy": number, **self.adapters[number].introduction()}

    def _receive(self, value: Any) -> Any:
        if "array" in value:
            return value["array"]
        if "plain" in value:
            return value["plain"]
        if "spy" in value:
            return Told(value["spy"], value["state"])
        number, name = value["object"], value["type"]
        if not (type(number) is int and type(name) is str):
            raise protocol.ProtocolError("an object of a strange kind")
        return named(Remote, name)(self, number)

    # Bytes.

    def _next(self) -> dict[str, Any]:
        header, body = protocol.lengths(self._read(protocol.PREFIX.size), self.largest)
        self.received += header + body
        if self.received > MAX_RECEIVED:
            raise Disturbed("far too much was sent")
        message = protocol.unpack(self._read(header), self._read(body), self._receive)
        if not isinstance(message, dict):
            raise Disturbed("an answer of the wrong form came")
        return message

    def _read(self, length: int) -> bytes:
        while len(self.unread) < length:
            if not self._is_ready([self.process.source], []):
                continue
            part = os.read(self.process.source, PIPE_BYTES)
            if not part:
                raise self._ended()
            self.unread += part
        content = bytes(self.unread[:length])
        del self.unread[:length]
        return content

    def _write(self, frame: bytes) -> None:
        view = memoryview(frame)
        while view:
            try:
                view = view[os.write(self.process.target, view) :]
            except BlockingIOError:
                self._is_ready([], [self.process.target])
            except BrokenPipeError:
                raise self._ended() from None

    def _is_ready(self, reading: list[int], writing: list[int], seconds: float = POLL) -> bool:
        """Wait for a while. Raises what the watch has found."""
        ready = select.select(reading, writing, [], seconds)
        if self.watch.reason:
            raise self.watch.reason
        return any(ready)

    def _ended(self) -> BaseException:
        status = self.process.exit_status()
        if self.watch.reason:
            return self.watch.reason
        if self.process.group and self.process.group.is_out_of_memory():
            return self.watch.too_large()
        if status == str(128 + signal.SIGXCPU):
            return TimeLimit(f"it computed for more than {self.limits.cpu_seconds} seconds")
        return Ended(f"the process ended in this call (exit status {status})")


# What the checks are handed.


def named(base: type, name: str) -> type:
    """Return a class like `base` with another name, for messages."""
    return type(_text(name), (base,), {})


class Remote:
    """An object in the worker. Attributes and calls go there; only numbers and arrays come back."""

    def __init__(self, session: Session, number: int) -> None:
        object.__setattr__(self, "_session", session)
        object.__setattr__(self, "_number", number)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # NumPy and others look for protocols of their own
            raise AttributeError(name)
        value = self._session.get(self, name)
        if isinstance(value, Method):
            object.__setattr__(self, name, value)
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        self._session.request("set", target=self, name=name, value=value, in_place=False)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._session.call(self, "", args, kwargs)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._session.items(self))


class Method:
    """A method of an object in the worker."""

    def __init__(self, target: Remote, name: str) -> None:
        self.target, self.name = target, name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.target._session.call(self.target, self.name, args, kwargs)


class RemoteArray(np.ndarray):
    """A copy of an array in the worker; assigning to its elements assigns there as well."""

    origin: tuple[Remote, str] | None = None

    @classmethod
    def of(cls, values: Array, target: Remote, name: str) -> "RemoteArray":
        """Return `values`, which are `target.name` in the worker."""
        array = values.view(cls)
        array.origin = (target, name)
        return array

    def __array_finalize__(self, source: Any) -> None:
        self.origin = None  # what is computed from it lives here alone

    def __setitem__(self, index: Any, value: Any) -> None:
        super().__setitem__(index, value)
        if self.origin:
            target, name = self.origin
            values = np.array(self)
            target._session.request("set", target=target, name=name, value=values, in_place=True)


def rebuilt(told: Any) -> Exception:
    """Return the error that the student's code raised, as far as it can be told from here."""
    try:
        name, message, known = (_text(told[part]) for part in ("type", "message", "base"))
        frames = [
            traceback.FrameSummary(_text(file), int(line), _text(function), line=_text(code))
            for file, line, function, code in told["frames"][:50]
        ]
    except (KeyError, TypeError, ValueError):
        return Disturbed("an error came that cannot be read")
    base = BASES.get(known, Exception)
    error: Exception = type(name, (base,), {"__init__": _nothing, "__str__": lambda _: message})()
    error.frames = frames  # type: ignore[attr-defined]  # see checks.errors
    return error


def _nothing(error: Exception, *_: Any) -> None:
    """Take no arguments, whatever the base class wants."""


def _text(value: Any) -> str:
    """Return a short text that can be written anywhere."""
    if type(value) is not str:
        raise TypeError("text wanted")
    return value[:2000].encode("utf-8", "replace").decode().replace("\0", "?")
