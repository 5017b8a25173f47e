# SPDX-License-Identifier: Apache-2.0
"""The one event loop of a script that uses asyncio.

It lives as long as the sandbox and runs while a call does: a task that a call
leaves behind goes on in the next.  A coroutine that was started without a loop,
because nobody had imported asyncio yet, is carried on here when it suspends.
"""
import glovebox

__builtins__ = glovebox.__builtins__

import sys

_loop = None


def _the_loop():
    global _loop
    import asyncio
    if _loop is None or _loop.is_closed():
        _loop = asyncio.new_event_loop()
    return asyncio, _loop


def run(coroutine):
    asyncio, loop = _the_loop()
    asyncio._set_running_loop(None)
    asyncio.set_event_loop(loop)
    return loop.run_until_complete(coroutine)


def go_on(coroutine, yielded):
    if "asyncio" not in sys.modules:
        coroutine.close()
        raise RuntimeError("the handler waits for something that is not of "
                           "asyncio: import asyncio for an event loop")
    return run(_rest(coroutine, yielded))


async def _rest(coroutine, yielded):
    return await _Rest(coroutine, yielded)


class _Rest:
    """A coroutine from its first suspension on."""

    def __init__(self, coroutine, yielded):
        self.coroutine = coroutine
        self.yielded = yielded

    def __await__(self):
        coroutine, yielded = self.coroutine, self.yielded
        try:
            while True:
                try:
                    value = yield yielded
                except BaseException as e:
                    yielded = coroutine.throw(e)
                else:
                    yielded = coroutine.send(value)
        except StopIteration as stop:
            return stop.value


# ---- asyncio imported in the middle of a handler ----

def watched_spec(name):
    from importlib.machinery import PathFinder
    spec = PathFinder.find_spec(name)
    if spec is not None:
        spec.loader = _Loader(spec.loader)
    return spec


class _Loader:
    """Imports asyncio, and makes our loop the running one if none is."""

    def __init__(self, loader):
        self._loader = loader

    def __getattr__(self, name):
        return getattr(self._loader, name)

    def create_module(self, spec):
        return self._loader.create_module(spec)

    def exec_module(self, module):
        module.__spec__.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        if module._get_running_loop() is None:
            module._set_running_loop(_the_loop()[1])
