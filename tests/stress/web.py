"""HTTP/1.1 as little as the stress run needs of it, on asyncio: one request a connection out, many in."""

import asyncio

TIMEOUT_S = 5


async def read_message(reader):
    """(first line, {header in lower case: value}, body), or None at the end of the connection."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    first, *lines = head.split("\r\n")[:-2]
    headers = {name.lower(): value.strip() for name, _colon, value in (line.partition(":") for line in lines)}
    if headers.get("transfer-encoding") == "chunked":
        raise ValueError("chunks are not expected here")
    return first, headers, await reader.readexactly(int(headers.get("content-length", 0)))


async def request(address, method, path, headers=None, body=b""):
    """(status, headers, body); status 0 if nobody answers."""
    host, port = address.rsplit(":", 1)
    try:
        async with asyncio.timeout(TIMEOUT_S):
            reader, writer = await asyncio.open_connection(host, int(port))
            try:
                lines = [f"{method} {path} HTTP/1.1", f"Host: {address}", "Connection: close", f"Content-Length: {len(body)}"]
                lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
                writer.write("\r\n".join([*lines, "", ""]).encode() + body)
                answer = await read_message(reader)
            finally:
                writer.close()
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        return 0, {}, b""
    return (int(answer[0].split()[1]), answer[1], answer[2]) if answer else (0, {}, b"")


class Server:
    """Answers requests by `handle (method, path, headers, body)` → (status, headers, body), or None: hang up."""

    def __init__(self, handle):
        self.handle = handle
        self.writers = set()

    async def start(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.address = "127.0.0.1:%d" % self.server.sockets[0].getsockname()[1]
        return self

    async def serve(self, reader, writer):
        self.writers.add(writer)
        try:
            while (message := await read_message(reader)) is not None:
                first, headers, body = message
                method, path, _version = first.split()
                answer = await self.handle(method, path, headers, body)
                if answer is None:
                    return
                status, more, data = answer
                lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(data)}"]
                lines += [f"{name}: {value}" for name, value in more.items()]
                writer.write("\r\n".join([*lines, "", ""]).encode() + data)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.writers.discard(writer)
            writer.close()

    def close(self):
        self.server.close()
        for writer in list(self.writers):
            writer.close()
