# SPDX-License-Identifier: Apache-2.0
"""An exception becomes the Object of FAILED: as Python prints it, without our
own frames, and never longer than the host takes.

The standard library's traceback module does the printing.  It is imported when
the first exception comes.  Where that fails (no file may be opened any more, no
memory is left) a plain formatter takes its place.
"""
import glovebox
import glovebox._load as _load

__builtins__ = glovebox.__builtins__

import sys
from errno import EAGAIN, EDQUOT, EFBIG, EMFILE, ENFILE, ENOMEM, ENOSPC

MESSAGE_MAX = 8192
TRACEBACK_MAX = 40960
OURS = "<frozen glovebox", "<frozen importlib"

_LIMITS = {ENOMEM: "memory", EMFILE: "files", ENFILE: "files",
           ENOSPC: "disk", EDQUOT: "disk", EFBIG: "disk"}


def explain(exception):
    _strip_all(exception)
    report = {
        "type": _type_name(exception),
        "message": _shorten(_message(exception), MESSAGE_MAX),
        "traceback": _shorten(_traceback(exception), TRACEBACK_MAX),
    }
    limit = _limit(exception)
    if limit:
        report["limit"] = limit
    return report


def _type_name(exception):
    cls = type(exception)
    if cls.__module__ in ("builtins", _load.NAME, "__main__", "glovebox"):
        return cls.__qualname__
    return f"{cls.__module__}.{cls.__qualname__}"


def _message(exception):
    try:
        return str(exception)
    except BaseException:
        return "(its str() failed)"


def _shorten(text, most):
    """At most so many bytes of UTF-8, the middle left out."""
    data = text.encode("utf-8", "backslashreplace")
    if len(data) <= most:
        return data.decode("utf-8")
    half = most // 2 - 32
    return (data[:half].decode("utf-8", "ignore")
            + f"\n  ... {len(data) - 2 * half} bytes left out ...\n"
            + data[-half:].decode("utf-8", "ignore"))


def _limit(exception):
    if isinstance(exception, MemoryError):
        return "memory"
    if isinstance(exception, RuntimeError):
        text = _message(exception)
        return "processes" if "can't start new thread" in text else None
    if not isinstance(exception, OSError):
        return None
    if exception.errno == EAGAIN and _is_fork(exception):
        return "processes"
    return _LIMITS.get(exception.errno)


def _is_fork(exception):
    """EAGAIN is also what an empty pipe says: look who raised it."""
    tb = exception.__traceback__
    if tb is None:
        return False
    while tb.tb_next is not None:
        tb = tb.tb_next
    code = tb.tb_frame.f_code
    return any(word in name for name in (code.co_name, *code.co_names)
               for word in ("fork", "spawn"))


# ---- frames that are ours ----

def _is_ours(tb):
    name = tb.tb_frame.f_code.co_filename
    return name.startswith(OURS)


def _strip(tb):
    if tb is not None and "/asyncio/" in tb.tb_frame.f_code.co_filename:
        return tb
    while tb is not None and _is_ours(tb):
        tb = tb.tb_next
        inner = tb
        # The event loop's own frames, between us and the script.
        while inner is not None and ("/asyncio/" in
                                     inner.tb_frame.f_code.co_filename
                                     or _is_ours(inner)):
            inner = inner.tb_next
        tb = inner if inner is not None else tb
    at = tb
    while at is not None and at.tb_next is not None:
        if _is_ours(at.tb_next):
            at.tb_next = at.tb_next.tb_next
        else:
            at = at.tb_next
    return tb


def _strip_all(exception):
    seen = set()
    todo = [exception]
    while todo:
        e = todo.pop()
        if e is None or id(e) in seen or len(seen) > 1000:
            continue
        seen.add(id(e))
        try:
            e.__traceback__ = _strip(e.__traceback__)
        except Exception:
            pass
        todo += e.__cause__, e.__context__


# ---- the text ----

def _traceback(exception):
    try:
        return _by_library(exception)
    except BaseException:
        return _plain(exception)


def _by_library(exception):
    if isinstance(exception, MemoryError) and "traceback" not in sys.modules:
        return _plain(exception)
    import linecache
    import traceback
    if _load.file is not None:
        linecache.cache[_load.file] = (
            len(_load.source), None,
            [line + "\n" for line in _lines()], _load.file)
    lines = traceback.TracebackException.from_exception(
        exception, compact=True).format()
    return "".join(_without_name(text) for text in lines)


def _lines():
    """As the compiler counts them."""
    text = _load.source or ""
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _without_name(text):
    """Exceptions of the script's own are shown as in a main program."""
    prefix = _load.NAME + "."
    return text[len(prefix):] if text.startswith(prefix) else text


def _plain(exception):
    text = ["Traceback (most recent call last):\n"]
    lines = _lines()
    tb = exception.__traceback__
    while tb is not None and len(text) < 200:
        code = tb.tb_frame.f_code
        text.append(f'  File "{code.co_filename}", line {tb.tb_lineno}, '
                    f"in {code.co_name}\n")
        if code.co_filename == _load.file and 0 < tb.tb_lineno <= len(lines):
            text.append(f"    {lines[tb.tb_lineno - 1].strip()}\n")
        tb = tb.tb_next
    message = _message(exception)
    text.append(_type_name(exception) + (f": {message}\n" if message else "\n"))
    return "".join(text)
