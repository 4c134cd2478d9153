"""Scenes: who sends, who receives, in plain text, played against any XMPP server.

    # The title is the first comment.
    users: alice bob
    unlike: prosody                   (servers that do otherwise than the standard says)
    alice/phone connects
    alice/phone sends
      <presence/>
    bob/desk receives
      <message from='alice@stoa.test/phone'><body>hi</body></message>
    bob/desk receives in any order
      <presence .../>
      <presence .../>
    bob/desk receives nothing
    bob/desk may receive              (from here on: what servers are free to send or not)
      <presence .../>
    bob/desk reads on                 (drops whatever has arrived)
    bob/desk disconnects              (sends unavailable presence by closing the stream)
    bob/desk vanishes                 (closes the socket without a word)

Indented lines belong to the line above. What is received is matched by the rules of stanza.py, strictly in
order unless said otherwise. Each play uses accounts of its own: alice@stoa.test becomes alice.7@stoa.test."""

import itertools
import pathlib
import re

from lib import stanza
from lib.xmpp import StreamClosed

_plays = itertools.count(1)


class SceneError(AssertionError):
    pass


class Scene:
    def __init__(self, path):
        self.path = pathlib.Path(path)
        lines = self.path.read_text().splitlines()
        comments = [line for line in lines if line.startswith("#")]
        self.title = comments[0].lstrip("# ") if comments else self.path.stem
        self.users, self.steps, self.unlike = [], [], []
        for number, line in enumerate(lines, 1):
            if not line.strip() or line.startswith("#"):
                continue
            if line.startswith("users:"):
                self.users = line.removeprefix("users:").split()
            elif line.startswith("unlike:"):
                self.unlike = line.removeprefix("unlike:").split()
            elif line[0].isspace():
                self.steps[-1][3].append(line.strip())
            else:
                who, verb = line.split(None, 1)
                self.steps.append((number, who, verb.strip(), []))

    def play(self, server):
        play = next(_plays)
        names = {user: f"{user}.{play}" for user in self.users}
        for name in names.values():
            server.add_user(name)
        address = re.compile(r"\b(" + "|".join(map(re.escape, names)) + r")@" + re.escape(server.domain))

        def own(text):
            return address.sub(lambda match: f"{names[match.group(1)]}@{server.domain}", text)

        clients, bound = {}, {}
        try:
            for number, who, verb, block in self.steps:
                try:
                    self._step(server, clients, names, bound, who, verb, own("\n".join(block)))
                except (AssertionError, StreamClosed) as error:
                    raise SceneError(f"{self.path.name}:{number}: {who} {verb}: {error}") from None
        finally:
            for client in clients.values():
                client.close()

    def _step(self, server, clients, names, bound, who, verb, text):
        if verb == "connects":
            user, resource = who.split("/")
            clients[who] = server.login(names[user], resource)
            return
        client = clients[who]
        if verb == "sends":
            client.send(re.sub(r"\{(\w+)\}", lambda match: bound[match.group(1)], text))
        elif verb == "receives":
            for pattern in map(stanza.show, stanza.parse_all(text)):
                client.expect(pattern, bound=bound)
        elif verb == "receives in any order":
            client.expect_any_order([stanza.show(one) for one in stanza.parse_all(text)], bound=bound)
        elif verb == "receives nothing":
            self._settle(clients)
            client.expect_nothing()
        elif verb == "may receive":
            client.optional += stanza.parse_all(text)
        elif verb == "reads on":
            self._settle(clients)
            client.barrier()
            client.reader.elements.clear()
        elif verb == "disconnects":
            client.send("</stream:stream>")
            client.expect_closed()
            clients.pop(who).close()
        elif verb == "vanishes":
            clients.pop(who).close()
        else:
            raise SceneError(f"unknown step '{verb}'")

    @staticmethod
    def _settle(clients):
        """A round trip for each session, so that what they sent has been dealt with; what they have
        received meanwhile stays queued."""
        for client in clients.values():
            client.reader.elements[:0] = client.barrier()
