# SPDX-License-Identifier: Apache-2.0
"""What a script may use: actor, ActorContext, Message (docs/python.md).

Imported at every start, so it imports nothing but what is there already.
"""
import sys

# Functions below look their builtins up here: a script that replaces print or
# len for its own use does not replace them for us.
__builtins__ = vars(sys.modules["builtins"]).copy()

import _glovebox

__all__ = ["actor", "at_copy", "ActorContext", "Message", "HostError"]

_TYPES = _glovebox.TYPES
_NUMBERS = {name: number for number, name in enumerate(_TYPES)}
_ask = _glovebox.ask
_ask_now = _glovebox.ask_now
_ready = _glovebox.ready


class HostError(RuntimeError):
    """The host refused a host call; str() of it says why."""


class Message:
    """A value with one of Reflow's fifteen types."""

    __slots__ = ("_kind", "value", "code")

    def __init__(self, type, value=None, code=None):
        try:
            self._kind = _NUMBERS[type] if type.__class__ is str else type
            _TYPES[self._kind]
        except (LookupError, TypeError):
            raise ValueError(f"no message type {type!r}") from None
        self.value = value
        self.code = code

    @property
    def type(self):
        return _TYPES[self._kind]

    def unwrap(self):
        return self.value

    def is_error(self):
        return self._kind == 12

    def __eq__(self, other):
        if not isinstance(other, Message):
            return NotImplemented
        return self._kind == other._kind and self.value == other.value

    def __hash__(self):
        return hash((self._kind, self.value))

    def __repr__(self):
        return f"Message({self.type!r}, {self.value!r})"

    @classmethod
    def flow(cls):
        return cls(0, "flow")

    @classmethod
    def event(cls, value):
        return cls(1, value)

    @classmethod
    def boolean(cls, value):
        return cls(2, value)

    @classmethod
    def integer(cls, value):
        return cls(3, value)

    @classmethod
    def float(cls, value):
        return cls(4, value)

    @classmethod
    def string(cls, value):
        return cls(5, value)

    @classmethod
    def object(cls, value):
        return cls(6, value)

    @classmethod
    def array(cls, value):
        return cls(7, value)

    @classmethod
    def stream(cls, value):
        return cls(8, value)

    @classmethod
    def encoded(cls, value):
        return cls(9, value)

    @classmethod
    def optional(cls, value=None):
        return cls(10, value)

    @classmethod
    def any(cls, value):
        return cls(11, value)

    @classmethod
    def error(cls, message, code=None):
        text = f"{message}" if code is None else f"{code}: {message}"
        return cls(12, text, code)

    @classmethod
    def remote_reference(cls, network_id, actor_id, port):
        return cls(13, {"network_id": network_id, "actor_id": actor_id,
                        "port": port})

    @classmethod
    def network_event(cls, event_type, data=None):
        return cls(14, {"event_type": event_type, "data": data})


class State:
    """context.state: values that the host keeps from call to call."""

    __slots__ = ()

    def get(self, key, default=None):
        found = _ask_now("state.get", key)
        return _ready(found[0] if found else default)

    def set(self, key, value):
        return _ask("state.set", key, value)

    def delete(self, key):
        return _ask("state.delete", key)

    def increment(self, key, n=1):
        return _ask("state.increment", key, n)

    def decrement(self, key, n=1):
        return _ask("state.decrement", key, n)

    def push(self, key, *values):
        if len(values) == 1:
            return _ask("state.push", key, values[0])
        return _ask("state.extend", key, values)

    def pop(self, key, default=None):
        found = _ask_now("state.pop", key)
        return _ready(found[0] if found else default)

    def extend(self, key, values):
        return _ask("state.extend", key, list(values))

    def expire(self, key, seconds):
        return _ask("state.expire", key, seconds)

    def ttl(self, key):
        return _ask("state.ttl", key)

    def exists(self, key):
        return _ask("state.exists", key)

    def keys(self, pattern="*"):
        return _ask("state.keys", pattern)

    def clear(self):
        return _ask("state.clear")

    def size(self):
        return _ask("state.size")

    def get_all(self):
        return _ask("state.get_all")

    def set_all(self, values):
        return _ask("state.set_all", values)

    has = exists
    remove = delete
    getAll = get_all
    setAll = set_all
    incr = increment
    decr = decrement


_state = State()
_MISSING = object()


class ActorContext(_glovebox.Context):
    """What a handler is given.  The hot half of it is C (context.c)."""

    __slots__ = ()

    def get_payload(self):
        types = self._types
        return {port: Message(types[port], value)
                for port, value in self.payload.items()}

    def get_config(self):
        return self.config

    def get_state(self, key=_MISSING, default=None):
        return _state if key is _MISSING else _state.get(key, default)

    def set_state(self, key, value):
        return _state.set(key, value)

    def secret(self, name):
        return _ask_now("secret.get", name)


def actor(*args, **metadata):
    """Mark the handler: @actor, @actor({...}) or @actor(name=..., ...)."""
    if len(args) == 1 and not metadata and callable(args[0]):
        return _mark(args[0], {})
    if len(args) > 1 or (args and not isinstance(args[0], dict)):
        raise TypeError("actor() takes a dict or keywords")
    known = {**(args[0] if args else {}), **metadata}
    return lambda handler: _mark(handler, known)


_marked = []  # in the order of the script


def _mark(handler, metadata):
    if isinstance(handler, type) or not callable(handler):
        raise TypeError("@actor marks a function")
    try:
        handler.__actor_metadata__ = metadata
    except AttributeError:
        pass
    _marked.append((handler, metadata))
    return handler


# What is not needed at every start comes with the first use.  Importing a part
# of this package sets its name here, where it stays: a script may empty
# sys.modules.
_failure = _loop = None


def _on_load(file, source, actor_id):
    import glovebox._failure
    import glovebox._load
    return _load.load(file, source, actor_id)


def _on_template():
    import glovebox._failure
    import glovebox._load
    _load.warm()


def _on_failure(exception):
    if _failure is None:
        import glovebox._failure
    return _failure.explain(exception)


def _get_loop():
    if _loop is None:
        import glovebox._loop
    return _loop


def _on_loop(coroutine):
    return _get_loop().run(coroutine)


def _on_suspend(coroutine, yielded):
    return _get_loop().go_on(coroutine, yielded)


def _open_streams():
    from io import BytesIO, TextIOWrapper
    for number, name in (1, "stdout"), (2, "stderr"):
        stream = TextIOWrapper(_glovebox.print_open(number), "utf-8",
                               "backslashreplace", "", write_through=True)
        stream.mode = "w"
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    sys.stdin = sys.__stdin__ = TextIOWrapper(BytesIO(), "utf-8")


_copy_hooks = []


def at_copy(hook):
    """Call hook() in each copy of this script's memory, before anything else.

    Usable as a decorator. Sandboxes begin as copies of one that has loaded the
    script: what it had drawn by chance, all of them have. The module random
    and numpy's global generator are seeded anew by themselves.
    """
    _copy_hooks.append(hook)
    return hook


def _on_copy(seed):
    modules = sys.modules
    if (random := modules.get("random")) is not None:
        random.seed(seed)
    if (numpy := modules.get("numpy.random")) is not None:
        numpy.seed(list(memoryview(seed).cast("I")))
    if (ssl := modules.get("_ssl")) is not None:
        ssl.RAND_add(seed, 0.0)
    for hook in _copy_hooks:
        hook()


_open_streams()
_glovebox.adopt(ActorContext, Message, HostError, _on_load, _on_failure,
                _on_loop, _on_suspend, _state, _on_copy)
