#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""server.py SCRIPT base64|array - a script behind a WebSocket.

This is what Glovebox replaces, as Reflow does it: JSON-RPC 2.0 in text
frames, method "process", inputs in params.payload, and the result is
{"outputs": {...}}.  Bytes are text in base64, or an array of numbers.

It is done as well as this way can be: no compression, no size limit, no
logging, no pings, compact JSON, one connection that stays.  (Larger buffers
than the library's own make no difference.)
It prints its port, and ends when its standard input does.
"""
import base64
import gc
import inspect
import json
import os
import socket
import sys
import threading


class Context:
    """What a script sees of a call."""

    def __init__(self, params):
        self.payload = params["payload"]
        self.config = params["config"]
        self.state = params["state"]
        self.actor_id = params["actor_id"]
        self.timestamp = params["timestamp"]
        self.outputs = {}

    def get_input(self, port, default=None):
        return self.payload.get(port, default)

    async def send_output(self, port, value):
        self.outputs[port] = value


def load(path):
    """The function that the script calls an actor."""
    found = []

    def actor(metadata):
        def mark(function):
            function.__actor_metadata__ = metadata
            found.append(function)
            return function
        return mark

    with open(path, encoding="utf-8") as file:
        code = compile(file.read(), path, "exec")
    exec(code, {"__name__": "script", "actor": actor})
    return found[0]


def take(value):
    """A payload's value as the script sees it; texts here are base64."""
    return base64.b64decode(value) if isinstance(value, str) else value


def give(value):
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(value).decode("ascii")
    return value


def server_of(function, form):
    is_async = inspect.iscoroutinefunction(function)
    dumps = json.JSONEncoder(separators=(",", ":")).encode

    async def process(params):
        if form == "base64":
            payload = params["payload"]
            params["payload"] = {port: take(payload[port]) for port in payload}
        context = Context(params)
        result = function(context)
        if is_async:
            result = await result
        outputs = {**context.outputs, **(result or {})}
        if form == "base64":
            outputs = {port: give(outputs[port]) for port in outputs}
        return {"outputs": outputs}

    async def serve(client):
        async for text in client:
            request = json.loads(text)
            answer = {"jsonrpc": "2.0", "id": request["id"]}
            if request["method"] == "process":
                try:
                    answer["result"] = await process(request["params"])
                except Exception as error:
                    answer["error"] = {"code": -32603, "message": str(error)}
            else:
                answer["error"] = {"code": -32601, "message":
                                   "Method not found: " + request["method"]}
            await client.send(dumps(answer))

    return serve


def end_with_stdin():
    while os.read(0, 1):
        pass
    os._exit(0)


async def main(websockets, serve):
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = await websockets.serve(
        serve, sock=listener, max_size=None, compression=None,
        ping_interval=None)
    print(listener.getsockname()[1], flush=True)
    await server.wait_closed()


if __name__ == "__main__":
    threading.Thread(target=end_with_stdin, daemon=True).start()
    try:
        import asyncio
        import websockets
        handler = server_of(load(sys.argv[1]), sys.argv[2])
    except ImportError as missing:
        print(f"{missing}: apt-get install python3-{missing.name}", flush=True)
        sys.exit(1)
    gc.freeze()
    asyncio.run(main(websockets, handler))
