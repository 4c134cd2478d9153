"""A party in the middle that changes nothing and keeps what went through: requests with their answers."""

from lib.party import Party, pass_on


class Exchange:
    def __init__(self, request, body, status, answer):
        self.method, self.path, self.headers, self.body = request.command, request.path, dict(request.headers), body
        self.status, self.answer = status, answer


class Recorder(Party):
    """`target`: a function that says where requests go, HOST:PORT."""

    def __init__(self, target):
        self.target, self.exchanges = target, []
        super().__init__()

    def handle(self, request, body):
        status, answer, headers = pass_on(request, body, self.target())
        self.exchanges.append(Exchange(request, body, status, answer))
        return status, answer, headers
