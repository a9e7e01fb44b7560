"""What runs in the sandbox beside a student's code. It calls what it is told to and judges nothing.

The marker sends one request at a time: load a module, call this function with these arrays, read or
set that attribute. Objects stay here and go by numbers. What the marker hands over to be looked at
(a spy in place of a network) stays with the marker: here is a stand-in that passes calls on.

Student code shares this process, so it can read and forge whatever is here. Nothing of value is:
no test, no expected result, no other hand-in.

The process speaks the protocol on standard input and output; forkserver.py makes it.
"""

import ctypes
import functools
import importlib
import os
import resource
import shutil
import struct
import sys
import traceback
import types
from itertools import islice
from typing import Any

import numpy as np
import protocol

Request = dict[str, Any]
MODULES = ("helpers.mlp", "helpers.training")
STUDENTS = (*MODULES, "helpers.cnn")
NAME_LIMIT = 200
MESSAGE_LIMIT = 2000
FRAMES_LIMIT = 30
FILES_LIMIT = 40
ITEMS_LIMIT = 100
FUNCTIONS = (types.FunctionType, types.MethodType, types.BuiltinFunctionType, functools.partial)
FILE_BYTES = 1 << 20
# Options of prctl, and how many capabilities there may be.
DUMPABLE, SET_FILTER, IS_BOUNDED_BY, DROP_FROM_BOUND, NO_NEW_RIGHTS = 4, 22, 23, 24, 38
MAX_RIGHTS = 64
BYTES_OF_A_STEP = 8


class Channel:
    """The two ends of the pipe, on numbers of their own: 0, 1 and 2 lead nowhere from here on."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self.source, self.target = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
        for end in (self.source, self.target):
            os.set_inheritable(end.fileno(), False)
        nowhere = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(nowhere, number)

    def read(self) -> tuple[bytes, bytes]:
        """Return header and body of the next frame; end the process if the marker is gone."""
        prefix = self.source.read(protocol.PREFIX.size)
        if len(prefix) < protocol.PREFIX.size:
            os._exit(0)
        header, body = protocol.lengths(prefix)
        return self.source.read(header), self.source.read(body)

    def write(self, frame: bytes) -> None:
        """Send a frame; a copy of this process, forked by the student's code, ends instead."""
        if os.getpid() != self.process:
            os._exit(0)
        self.target.write(frame)
        self.target.flush()


class Worker:
    """Objects by number, and what can be done with them."""

    def __init__(self, channel: Channel, folder: str) -> None:
        self.channel, self.folder = channel, folder
        self.objects: list[Any] = []
        self.numbers: dict[int, int] = {}
        self.spies: dict[int, Any] = {}
        self.net: Any = None
        self.token = 0

    def serve(self) -> None:
        """Answer requests until the marker hangs up."""
        while True:
            header, body = self.channel.read()
            request = protocol.unpack(header, body, self.receive)
            self.token = request["id"]
            try:
                answer = {"id": self.token, "value": getattr(self, "do_" + request["do"])(request)}
                limit = protocol.MAX_BODY if request["do"] == "weights" else protocol.MAX_ANSWER
                frame = protocol.pack(answer, self.send, limit)
            except BaseException as error:  # student code may raise anything
                frame = protocol.pack({"id": self.token, "error": describe(error)})
            self.spies.clear()
            self.channel.write(frame)

    # What is neither plain data nor an array.

    def send(self, value: Any) -> Any:
        """Return what stands for an object that stays here."""
        if hasattr(type(value), "__array__") or isinstance(value, memoryview):
            array = np.asarray(value)
            if array.dtype.kind in "biuf":
                return {"array": array}
        if type(value).__module__ == "builtins" and isinstance(value, (list, dict, set, frozenset)):
            raise TypeError(f"a {type(value).__name__} of {len(value)} things that are no numbers")
        if isinstance(value, (bool, int, float, str)):
            return {"plain": getattr(value, "value", None) if not isinstance(value, str) else ""}
        number = self.numbers.get(id(value))
        if number is None:
            number = self.numbers[id(value)] = len(self.objects)
            self.objects.append(value)
        return {"object": number, "type": str(type(value).__name__)[:NAME_LIMIT]}

    def receive(self, value: Any) -> Any:
        """Return the object that the marker names, or a stand-in for its spy."""
        if "object" in value:
            return self.objects[value["object"]]
        if "generator" in value:
            return np.random.default_rng(value["generator"])
        spy = self.spies[value["spy"]] = self.stand_in(value)
        return spy

    def stand_in(self, value: Any) -> Any:
        """Make the stand-in of a spy."""
        number, kind = value["spy"], value["kind"]

        def ask(method: str, *args: Any) -> Any:
            return self.ask(number, method, args)

        if kind == "object":
            return make_stand_in(ask, value["state"], value["methods"])
        import torch_stand_ins

        if kind == "net":
            self.net = torch_stand_ins.Net(ask, value["training"])
            return self.net
        return torch_stand_ins.Loss(ask) if kind == "loss" else torch_stand_ins.SGD(ask, self.net)

    def name_spy(self, value: Any) -> Any:
        """Return which spy a stand-in belongs to, and how it is now."""
        number = next((n for n, spy in self.spies.items() if spy is value), None)
        return (
            protocol.refuse(value) if number is None else {"spy": number, "state": state_of(value)}
        )

    def ask(self, number: int | str, method: str, args: tuple[Any, ...]) -> Any:
        """Let the marker's spy, or a right function of that name, answer a call."""
        question = {"ask": self.token, "spy": number, "method": method, "args": args}
        self.channel.write(protocol.pack(question, self.name_spy))
        answer = protocol.unpack(*self.channel.read())
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["value"]

    # Requests.

    def do_start(self, request: Request) -> None:
        """Give up rights and set limits, for good; then lay out the hand-in."""
        for library in request["libraries"]:
            importlib.import_module(library)
        give_up_rights(request["uid"])
        for name, value in request["limits"].items():
            if hasattr(resource, name):
                resource.setrlimit(getattr(resource, name), (value, value))
        if request["filter"]:
            filter_calls(request["filter"])
        os.chdir(os.environ["TMPDIR"])
        for name, content in request["files"].items():
            path = os.path.join(self.folder, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "xb") as file:
                file.write(content)
        sys.path.insert(0, self.folder)

    def do_load(self, request: Request) -> Any:
        """Import a student's module and return what it calls `name`."""
        for name in request["hollow"]:
            error = ImportError(f"importing {name} did not end well")
            sys.modules.setdefault(name, hollow(name, error))
        module = load(request["module"])
        if request["name"] not in vars(module):
            raise AttributeError(request["name"])
        return vars(module)[request["name"]]

    def do_replace(self, request: Request) -> None:
        """Put right functions, which the marker computes, in the place of the student's."""
        modules = [sys.modules[name] for name in STUDENTS if name in sys.modules]
        for name in request["names"]:
            holder, _, method = name.rpartition(".")
            if holder:
                for module in modules:
                    if isinstance(vars(module).get(holder), type):
                        setattr(vars(module)[holder], method, self.right(name, is_method=True))
                continue
            wrong = [vars(module)[name] for module in modules if name in vars(module)]
            for module in modules:  # whatever they call it
                names = {k for k, v in vars(module).items() if any(v is old for old in wrong)}
                vars(module).update(dict.fromkeys({name, *names}, self.right(name)))

    def right(self, name: str, is_method: bool = False) -> Any:
        """Return a function whose result comes from the marker."""

        def sent(value: Any) -> Any:
            is_known = any(value is spy for spy in self.spies.values())
            return value if is_known or type(value).__name__ == "Tensor" else plain(value)

        def call(*args: Any, **kwargs: Any) -> Any:
            this, args = (args[:1], args[1:]) if is_method else ((), args)
            state = [{k: v for k, v in vars(self).items() if is_plain(v)} for self in this]
            told = {key: sent(value) for key, value in kwargs.items()}
            result, changed = self.ask(name, "", (state, [sent(value) for value in args], told))
            for key, value in changed.items():
                setattr(this[0], key, value)
            return result

        return call

    def do_call(self, request: Request) -> Any:
        """Call an object or its method; say which arrays among the arguments were changed."""
        target = request["target"]
        function = getattr(target, request["method"]) if request["method"] else target
        args, kwargs = request["args"], request["kwargs"]
        before = [v.copy() if isinstance(v, np.ndarray) else None for v in args]
        result = function(*args, **kwargs)
        changed = {
            str(n): now
            for n, (old, now) in enumerate(zip(before, args, strict=True))
            if old is not None and (old.shape != now.shape or old.tobytes() != now.tobytes())
        }
        spies = {str(number): state_of(spy) for number, spy in self.spies.items()}
        learns = getattr(result, "requires_grad", False) is True
        return {"result": result, "changed": changed, "spies": spies, "learns": learns}

    def do_get(self, request: Request) -> Any:
        """Return an attribute; of a function or method only that it can be called."""
        value = getattr(request["target"], request["name"])
        if isinstance(value, (type, *FUNCTIONS)):
            return {"callable": True}
        return {"callable": False, "value": value}

    def do_items(self, request: Request) -> Any:
        """Return the first things that an object gives one after the other."""
        return list(islice(request["target"], ITEMS_LIMIT))

    def do_set(self, request: Request) -> None:
        """Set an attribute or, `in_place`, write into the array that is there."""
        if request["in_place"]:
            getattr(request["target"], request["name"])[...] = request["value"]
        else:
            setattr(request["target"], request["name"], request["value"])

    def do_write(self, request: Request) -> None:
        """Make these files all that a folder of the scratch space holds."""
        shutil.rmtree(request["folder"], ignore_errors=True)
        os.makedirs(request["folder"])
        for name, content in request["files"].items():
            with open(os.path.join(request["folder"], name), "wb") as file:
                file.write(content)

    def do_execute(self, request: Request) -> str:
        """Execute a notebook in a kernel of its own; return what went wrong, "" if nothing."""
        import nbclient
        import nbformat

        if request["source"] == "stand-in":  # else it would try to fetch MNIST, in vain
            os.environ["MNIST_MIRROR"] = "stand-in"
        folder = os.path.join(self.folder, "notebooks")
        notebook = nbformat.read(os.path.join(folder, f"{request['number']}.ipynb"), as_version=4)
        resources = {"metadata": {"path": folder}}
        try:
            nbclient.NotebookClient(
                notebook, timeout=int(request["cell_seconds"]), kernel_name="python3",
                resources=resources,
            ).execute()  # fmt: skip
        except Exception as error:
            return f"{type(error).__name__}: {str(error)[-MESSAGE_LIMIT:]}"
        return ""

    def do_weights(self, request: Request) -> Any:
        """Return the parameters of all networks that the notebooks saved."""
        return weights_in(os.environ["DIGITS_OUTPUT"])

    def do_read(self, request: Request) -> Any:
        """Return the small files of a folder of the scratch space."""
        os.makedirs(request["folder"], exist_ok=True)
        files = {}
        for entry in sorted(os.scandir(request["folder"]), key=lambda e: e.name)[:FILES_LIMIT]:
            if entry.is_file(follow_symlinks=False):
                with open(entry.path, "rb") as file:
                    files[entry.name] = file.read(FILE_BYTES)
        return files


def give_up_rights(user: int) -> None:
    """Become `user`, unless it is 0, and give up all capabilities, for good and for all children.

    Those that the processes before this one needed are inherited.
    """
    if sys.platform == "linux":
        for right in range(MAX_RIGHTS):
            if ctypes.CDLL(None).prctl(IS_BOUNDED_BY, right, 0, 0, 0) == 1:
                ctypes.CDLL(None).prctl(DROP_FROM_BOUND, right, 0, 0, 0)
    if user:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    if sys.platform == "linux":
        version_3_of_this_process, nothing = struct.pack("<Ii", 0x20080522, 0), bytes(24)
        call("capset", version_3_of_this_process, nothing)
        call("prctl", NO_NEW_RIGHTS, 1, 0, 0, 0)
        call("prctl", DUMPABLE, 1, 0, 0, 0)  # becoming another user has ended that


def filter_calls(program: bytes) -> None:
    """Let the kernel refuse system calls as a program (BPF) says."""

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("steps", ctypes.c_char_p)]

    steps = Program(len(program) // BYTES_OF_A_STEP, program)
    call("prctl", SET_FILTER, 2, ctypes.byref(steps), 0, 0)


def call(function: str, *arguments: object) -> None:
    """Call a function of the C library. Raises OSError if it fails."""
    library = ctypes.CDLL(None, use_errno=True)
    if getattr(library, function)(*arguments):
        raise OSError(ctypes.get_errno(), f"{function}: {os.strerror(ctypes.get_errno())}")


def weights_in(folder: str) -> dict[str, dict[str, Any]]:
    """Return the parameters of the networks that were saved below a folder, by file name."""
    found: dict[str, dict[str, Any]] = {}
    for parent, _, names in os.walk(folder):
        for name in names:
            path, (stem, ending) = os.path.join(parent, name), os.path.splitext(name)
            if ending == ".npy":
                network, _, parameter = stem.rpartition("_")
                found.setdefault(network, {})[parameter] = np.load(path, allow_pickle=False)
            elif ending == ".pth":
                import torch

                found[stem] = dict(torch.load(path, map_location="cpu", weights_only=True))
    return found


def load(name: str) -> types.ModuleType:
    """Import a student's module; a neighbour that it needs and that is broken is mended."""
    if isinstance(sys.modules.get(name), Hollow):
        del sys.modules[name]  # a neighbour did without it
    try:
        return importlib.import_module(name)
    except BaseException as error:
        mended = [mend(other, error) for other in MODULES if other != name]
        if not any(mended):
            raise
        return importlib.import_module(name)


def mend(name: str, error: BaseException) -> bool:
    """Let a module seem whole that cannot be imported, or lacks what `error` says; else False."""
    try:
        module = importlib.import_module(name)
    except BaseException as reason:
        sys.modules[name] = hollow(name, reason)
        return True
    if isinstance(error, ImportError) and error.name == name:
        vars(module).update(vars(hollow(name, error)) | vars(module))
        return True
    return False


class Hollow(types.ModuleType):
    """A module that could not be imported."""


def hollow(name: str, reason: BaseException) -> Hollow:
    """Return a module that has every name, and nothing behind it."""

    def missing(attribute: str) -> Any:
        if attribute.startswith("__"):
            raise AttributeError(attribute)

        def refuse(self: Any, *_: Any, **__: Any) -> None:
            told = f"{type(reason).__name__}: {reason}"
            raise ImportError(f"{name} could not be imported ({told})")

        return type(attribute, (), {"__init__": refuse})

    module = Hollow(name)
    vars(module)["__getattr__"] = missing
    return module


ARGUMENT = {"forward": "x", "update_params": "lr"}  # of a network's methods, if it isn't y


def make_stand_in(ask: Any, state: dict[str, Any], methods: list[str]) -> Any:
    """Return an object with the spy's attributes, whose methods ask the spy."""

    def method(name: str) -> Any:
        def call(self: Any, *args: Any, **named: Any) -> Any:
            if unknown := set(named) - {ARGUMENT.get(name, "y")}:
                raise TypeError(f"{name}() got an unexpected keyword argument {unknown.pop()!r}")
            result, changed = ask(name, *map(plain, (*args, *named.values())))
            vars(self).update(changed)
            return result

        return call

    spy = type("Network", (), {name: method(name) for name in methods})()
    vars(spy).update(state)
    return spy


def plain(value: Any) -> Any:
    """Return what may be sent: lists and the like as arrays."""
    return value if isinstance(value, (bool, int, float, np.ndarray)) else np.asarray(value)


def state_of(spy: Any) -> Any:
    """Return the attributes of a stand-in that can be sent."""
    if hasattr(spy, "state_of"):
        return spy.state_of()
    return {name: value for name, value in vars(spy).items() if is_plain(value)}


def is_plain(value: Any) -> bool:
    """Whether a value can be sent as it is."""
    return isinstance(value, (bool, int, float, np.ndarray))


def describe(error: BaseException) -> dict[str, Any]:
    """Return type, message and frames of an error, without those of this file."""
    try:
        message = str(error)[:MESSAGE_LIMIT]
    except Exception:
        message = ""
    frames = [
        [frame.filename, frame.lineno or 0, frame.name, frame.line or ""]
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename != __file__ and not frame.filename.startswith("<frozen")
    ]
    if isinstance(error, SyntaxError) and error.filename:
        frames.append([error.filename, error.lineno or 0, "<module>", (error.text or "").strip()])
    return {
        "type": type(error).__name__[:NAME_LIMIT],
        "base": next(k.__name__ for k in type(error).__mro__ if k.__module__ == "builtins"),
        "message": message,
        "frames": [[str(part)[:NAME_LIMIT] if isinstance(part, str) else part for part in frame]
                   for frame in frames[-FRAMES_LIMIT:]],
    }  # fmt: skip
