"""Ad-hoc commands (XEP-0050) with data forms, as an exact client speaks them."""

import xml.sax.saxutils

COMMANDS = "http://jabber.org/protocol/commands"
FORM = "jabber:x:data"
OOB = "jabber:x:oob"
ITEMS = "http://jabber.org/protocol/disco#items"
INFO = "http://jabber.org/protocol/disco#info"


def submit(values):
    """A submitted form: {var: text, or list of texts, or bool}."""
    def texts(value):
        return value if isinstance(value, list) else ["1" if value is True else "0" if value is False else value]
    fields = "".join(
        "<field var='%s'>%s</field>" % (var, "".join("<value>%s</value>" % xml.sax.saxutils.escape(text)
                                                     for text in texts(value)))
        for var, value in values.items())
    return f"<x xmlns='{FORM}' type='submit'>{fields}</x>"


class Answer:
    """What a command was answered with."""

    def __init__(self, iq):
        self.iq = iq
        self.type = iq.get("type")
        self.command = iq.find(f"{{{COMMANDS}}}command")
        self.status = self.session = self.form = None
        self.notes, self.urls, self.actions, self.execute = [], [], [], None
        if self.command is None:
            return
        self.status, self.session = self.command.get("status"), self.command.get("sessionid")
        self.form = self.command.find(f"{{{FORM}}}x")
        self.notes = [(note.get("type"), note.text) for note in self.command.findall(f"{{{COMMANDS}}}note")]
        self.urls = [url.text for url in self.command.findall(f"{{{OOB}}}x/{{{OOB}}}url")]
        actions = self.command.find(f"{{{COMMANDS}}}actions")
        if actions is not None:
            self.execute = actions.get("execute")
            self.actions = [action.tag.removeprefix(f"{{{COMMANDS}}}") for action in actions]

    def fields(self):
        """{var: (type, [values], [option values])}"""
        return {field.get("var"): (field.get("type"), [value.text or "" for value in field.findall(f"{{{FORM}}}value")],
                                   [value.text for value in field.findall(f"{{{FORM}}}option/{{{FORM}}}value")])
                for field in self.form.findall(f"{{{FORM}}}field")}

    def value(self, var):
        return self.fields()[var][1][0]

    def options(self, var):
        return self.fields()[var][2]

    def rows(self):
        """The list's rows: {"id": what names it, label: text of its line}."""
        assert all(kind == "text-multi" for kind, _values, _options in self.fields().values())
        return [{"id": var, **dict(value.split(": ", 1) for value in values)}
                for var, (_kind, values, _options) in self.fields().items()]

    def error(self):
        """(condition, condition of commands or None, text)"""
        assert self.type == "error", self.notes
        error = self.iq.find("{jabber:client}error")
        stanzas = "{urn:ietf:params:xml:ns:xmpp-stanzas}"
        names = [child.tag for child in error]
        [condition] = [name.removeprefix(stanzas) for name in names if name.startswith(stanzas) and name != stanzas + "text"]
        own = [name.removeprefix(f"{{{COMMANDS}}}") for name in names if name.startswith(f"{{{COMMANDS}}}")]
        return condition, own[0] if own else None, error.findtext(stanzas + "text")

    def said(self, kind):
        return "\n".join(text for one, text in self.notes if one == kind)


class Commander:
    """A session that runs commands at the market."""

    def __init__(self, client, domain):
        self.client, self.to = client, f"market.{domain}"

    def send(self, node, session=None, action=None, payload="", more=""):
        attributes = "".join(f" {name}='{value}'" for name, value in
                             (("node", node), ("sessionid", session), ("action", action)) if value is not None)
        return Answer(self.client.request("set", f"<command xmlns='{COMMANDS}'{attributes}{more}>{payload}</command>", self.to))

    def run(self, node, *forms):
        """Executes, and fills in one form after the other; the last answer."""
        answer = self.send(node)
        for values in forms:
            assert answer.status == "executing", (answer.notes, answer.type)
            answer = self.send(node, answer.session, answer.execute, submit(values))
        return answer

    def disco(self, ns, node):
        return self.client.request("get", f"<query xmlns='{ns}' node='{node}'/>", self.to)

    def nodes(self):
        return [item.get("node") for item in self.disco(ITEMS, COMMANDS)[0]]
