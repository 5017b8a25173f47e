# SPDX-License-Identifier: Apache-2.0
"""Run a script's file once, find its handler, and say what it says of itself.
"""
import glovebox

__builtins__ = glovebox.__builtins__

import sys
from posix import stat

FOLDER = "/script"
NAME = "__script__"

_ModuleType = type(sys)
_FunctionType = type(lambda: None)
_COROUTINE = 0x80 | 0x100  # of co_flags; the second as types.coroutine sets it

file = source = None  # of the script, for tracebacks


class Loader:
    """Lets linecache and inspect find the text of a file that is not there."""

    def get_source(self, name):
        return source


def load(its_file, its_source, actor_id):
    global file, source
    file, source = its_file, its_source
    module = _ModuleType(NAME)
    module.__file__ = _visible(its_file)
    module.__loader__ = Loader()
    module.__builtins__ = sys.modules["builtins"]
    for name in glovebox.__all__:
        setattr(module, name, getattr(glovebox, name))
    sys.modules[NAME] = module
    sys.argv = [module.__file__]
    glovebox._marked.clear()

    code = compile(its_source, its_file, "exec", dont_inherit=True)
    if _mentions(code, "asyncio"):
        import asyncio  # so that the first call finds a running loop
    else:
        sys.meta_path.insert(0, Watch())
    exec(code, module.__dict__)
    _freeze()

    handler, metadata = _find(module, actor_id)
    about = _describe(handler, metadata)
    outports = about["outports"]
    return (handler, _is_coroutine(handler), actor_id or about["component"],
            outports[0] if len(outports) == 1 else "output", about)


def warm():
    """In a template, which no script has touched: once through all that each
    first script would wait for, and back."""
    global file, source
    argv, path, finders = sys.argv, sys.path[:], sys.meta_path[:]
    load("template.py", _WARM, "")
    file = source = None
    sys.argv, sys.path[:], sys.meta_path[:] = argv, path, finders
    del sys.modules[NAME]
    glovebox._marked.clear()


_WARM = """
@actor({"component": "none", "inports": ["in"], "outports": ["out"]})
def process(context):
    return {"out": context.get_input("in")}
"""


def _visible(its_file):
    """Where the script finds its own file, if it may see it at all."""
    visible = f"{FOLDER}/{its_file.rpartition('/')[2]}"
    try:
        stat(visible)  # the folder may be there, and empty
    except OSError:
        return its_file
    sys.path.insert(0, FOLDER)
    return visible


def _freeze():
    """What is there now is there to stay: no collection need look at it."""
    import gc
    gc.freeze()


def _mentions(code, name):
    return name in code.co_names or any(
        _mentions(part, name) for part in code.co_consts
        if isinstance(part, type(code)))


class Watch:
    """Sees asyncio being imported in the middle of a handler (_loop.py)."""

    def find_spec(self, name, path=None, target=None):
        if name == "asyncio":
            sys.meta_path.remove(self)
            return glovebox._get_loop().watched_spec(name)
        return None


# ---- the handler ----

def _find(module, actor_id):
    names = vars(module)
    own = names.get("__actor_metadata__")
    own = own if isinstance(own, dict) else {}
    marked = [(f, m) for f, m in glovebox._marked
              if getattr(f, "__module__", NAME) == NAME]
    if not marked:  # marked by hand: f.__actor_metadata__ = {...}
        marked = [(f, f.__actor_metadata__) for f in names.values()
                  if _is_own(f) and isinstance(
                      getattr(f, "__actor_metadata__", None), dict)]
    if marked:
        return _choose(marked, own, actor_id)
    handler = names.get("process")
    if callable(handler) and not isinstance(handler, type):
        return handler, own
    public = [f for name, f in names.items()
              if _is_own(f) and not name.startswith("_")]
    if len(public) == 1:
        return public[0], own
    raise LookupError(
        "no actor function in it: looked for a function marked with @actor, "
        "for one called process, and for a file with a single public function"
        + (f" (it has {len(public)})" if public else ""))


def _is_own(f):
    return isinstance(f, _FunctionType) and f.__module__ == NAME


def _choose(marked, own, actor_id):
    if len(marked) == 1:
        handler, metadata = marked[0]
        return handler, metadata or own
    for wanted in actor_id, _component(own, None):
        for handler, metadata in marked:
            if wanted and wanted in (_component(metadata, handler),
                                     _name(handler)):
                return handler, metadata
    names = ", ".join(_component(m, f) for f, m in marked)
    raise LookupError(f"several actors in it: {names}; "
                      "name the one you mean as actor id")


def _name(handler):
    return getattr(handler, "__name__", type(handler).__name__)


def _component(metadata, handler):
    return (metadata.get("component") or metadata.get("name")
            or (handler and _name(handler)))


def _is_coroutine(handler):
    for _ in range(100):
        inner = getattr(handler, "__wrapped__", None)
        if inner is None and type(handler).__name__ == "partial":
            inner = handler.func
        if inner is None:
            break
        handler = inner
    for f in handler, getattr(handler, "__func__", None), \
            getattr(type(handler), "__call__", None):
        code = getattr(f, "__code__", None)
        if code is not None:
            return bool(code.co_flags & _COROUTINE)
    return False


# ---- what it says of itself ----

def _describe(handler, metadata):
    said = metadata.get("description") or getattr(handler, "__doc__", None)
    about = {
        "component": str(_component(metadata, handler)),
        "description": str(said or "").strip().partition("\n")[0],
        "inports": _ports(metadata, "inports"),
        "outports": _ports(metadata, "outports"),
        "await_all_inports": bool(metadata.get("await_all_inports")),
    }
    for key, value in metadata.items():
        if isinstance(key, str) and key not in about and _is_plain(value, 0):
            about[key] = value
    if len(repr(about)) > 32768:  # the host takes 64 KiB of it
        for key in list(about)[5:]:
            del about[key]
        about["description"] = about["description"][:1000]
    return about


def _ports(metadata, key):
    ports = metadata.get(key) or ()
    if isinstance(ports, (str, bytes)):
        raise TypeError(f"{key} is a list of names, not {ports!r}")
    names = [p.get("name") if isinstance(p, dict) else p for p in ports]
    for name in names:
        if not isinstance(name, str) or not 0 < len(name.encode()) < 256:
            raise TypeError(f"{key}: {name!r} is no name of a port")
    return names


def _is_plain(value, depth):
    """Is it something that JSON can hold?"""
    if value is None or isinstance(value, (bool, str)):
        return True
    if isinstance(value, int):
        return -2**63 <= value < 2**63
    if isinstance(value, float):
        return value - value == 0
    if depth > 16:
        return False
    if isinstance(value, (list, tuple)):
        return all(_is_plain(v, depth + 1) for v in value)
    return isinstance(value, dict) and all(
        isinstance(k, str) and _is_plain(v, depth + 1)
        for k, v in value.items())
