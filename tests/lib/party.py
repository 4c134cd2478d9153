"""A party that a test plays itself: an HTTP server on a port that the kernel chose, a thread for each connection."""

import http.client
import http.server
import threading


class Party:
    """What handle () of a subclass says is answered. `accepts`: other methods get 501."""

    accepts = ("GET", "POST", "PUT", "DELETE")

    def __init__(self):
        party = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                answer = party.handle(self, body)
                if answer is None:
                    self.close_connection = True
                    return
                status, data, headers = answer
                try:
                    self.send_response(status)
                    for name, value in headers.items():
                        self.send_header(name, value)
                    if status != 204:
                        self.send_header("Content-Length", str(len(data)))
                    self.end_headers()
                    self.wfile.write(data)
                except (BrokenPipeError, ConnectionResetError):  # whoever asked has gone
                    self.close_connection = True

            def log_message(self, *_arguments):
                pass

        for method in self.accepts:
            setattr(Handler, f"do_{method}", Handler.handle_any)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.base = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()

    def handle(self, request, body):
        """(status, bytes, headers) for a request, which has command, path and headers; None breaks the connection."""
        raise NotImplementedError

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def pass_on(request, body, target):
    """Asks `target`, HOST:PORT, what one was asked: (status, bytes, headers) of its answer."""
    connection = http.client.HTTPConnection(target, timeout=20)
    try:
        connection.request(request.command, request.path, body or None,
                           {name: value for name, value in request.headers.items()
                            if name.lower() not in ("host", "connection", "content-length")})
        answer = connection.getresponse()
        return answer.status, answer.read(), {name: value for name, value in answer.getheaders()
                                              if name.lower() in ("content-type", "retry-after", "location")}
    finally:
        connection.close()
