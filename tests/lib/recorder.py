"""A party in the middle that changes nothing and keeps what went through: requests with their answers."""

import http.client
import http.server
import threading


class Exchange:
    def __init__(self, method, path, headers, body):
        self.method, self.path, self.headers, self.body = method, path, headers, body
        self.status, self.answer = None, None


class Recorder:
    """`target`: a function that says where requests go, HOST:PORT."""

    def __init__(self, target):
        self.target, self.exchanges = target, []
        recorder = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                exchange = Exchange(self.command, self.path, dict(self.headers), body)
                connection = http.client.HTTPConnection(recorder.target(), timeout=20)
                headers = {name: value for name, value in self.headers.items()
                           if name.lower() not in ("host", "connection", "content-length")}
                connection.request(self.command, self.path, body or None, headers)
                answer = connection.getresponse()
                exchange.status, exchange.answer = answer.status, answer.read()
                connection.close()
                recorder.exchanges.append(exchange)
                try:
                    self.send_response(exchange.status)
                    for name, value in answer.getheaders():
                        if name.lower() in ("content-type", "retry-after", "location"):
                            self.send_header(name, value)
                    self.send_header("Content-Length", str(len(exchange.answer)))
                    self.end_headers()
                    self.wfile.write(exchange.answer)
                except (BrokenPipeError, ConnectionResetError):
                    pass

            do_GET = do_POST = do_PUT = do_DELETE = handle_any

            def log_message(self, *_arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.base = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
