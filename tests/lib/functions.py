"""Applications with functions under test: a shop that sells them, its modules in a folder of the test's own, and callers."""

import base64
import shutil
import uuid

from lib.host import key_file
from lib.market import Shop
from lib.process import BUILD
from lib.xmpp import error_condition

FUNCTIONS = "urn:stoa:functions:1"


class FunctionShop(Shop):
    """Sells free applications; `functions`: the configuration's [functions] group, `modules`: changes of [modules]."""

    def __init__(self, folder, functions=None, modules=None, **options):
        super().__init__(folder, **options)
        self.functions, self.module_options = functions or {}, modules or {}
        self.modules = self.folder / "modules"

    def start(self):
        self.modules.mkdir(mode=0o755)
        shutil.copy(BUILD / "keygen-modules/libweather-keygen.so", self.modules)
        super().start()
        self.host.stop()
        self.host.groups["modules"].update({"folder": self.modules, **self.module_options})
        self.host.groups["functions"] = self.functions
        self.host.write_config()
        self.host.start()
        return self

    def install(self, source, name=None):
        """Puts a module where the server finds it, as a new file: what is mapped stays what it was."""
        target = self.modules / (name or source.name)
        shutil.copy(source, target.with_suffix(".new"))
        target.with_suffix(".new").rename(target)
        return target.name

    def application(self, name, module=None, names=(), **functions):
        groups = {"Plugin": {"id": name, "name": name, "vendor": "acme", "version": "1.0", "price": 0},
                  "Serial": {"source": "keygen", "module": "libweather-keygen.so"},
                  "Functions": {"module": module, "names": (names if isinstance(names, str) else ",".join(names)) or None, **functions}}
        path = self.folder / f"{name}.manifest"
        path.write_text(key_file(groups))
        self.host.hostctl("plugin", "add", path)

    def probe(self, name="probe", **functions):
        """An application of the tests' own module."""
        self.install(BUILD / "tests/functions/probe-1.so", f"{name}.so")
        self.application(name, f"{name}.so", PROBES, **{"user_data": "64K", "rate": 0, **functions})

    def resource(self, application, name, content, *options):
        path = self.folder / "resource"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        [row] = self.host.hostctl_json("resource", "put", application, name, path, *options)
        return row["version"]

    def caller(self, *applications, name=None):
        """A customer who has these."""
        customer = self.customer(name)
        customer.serials()
        for application in applications:
            order = customer.buy(application)
            if order.get("state") != "fulfilled":
                customer.push_of("order", id=order.get("id"), state="fulfilled")
        return customer

    def log(self, application):
        return self.host.hostctl_json("function", "log", application)


PROBES = ["echo", "facts", "random", "slow-copy", "bump", "put", "fill", "misuse", "ask", "spin", "overflow", "put-and-crash", "exit",
          "put-and-refuse", "version", "unknown"]


def call_xml(application, function, argument="", request=None, encoding=None):
    if isinstance(argument, bytes):
        argument, encoding = base64.b64encode(argument).decode(), "base64"
    encoded = f" encoding='{encoding}'" if encoding else ""
    return (f"<call xmlns='{FUNCTIONS}' application='{application}' function='{function}'"
            f" request='{request or uuid.uuid4()}'><argument{encoded}>{argument}</argument></call>")


def read_result(answer):
    """The result of an answer as text, or as bytes; of an error, (condition, element, its kind or reason)."""
    if answer.get("type") == "result":
        [result] = answer
        assert result.tag == f"{{{FUNCTIONS}}}result"
        text = result.text or ""
        return base64.b64decode(text, validate=True) if result.get("encoding") == "base64" else text
    own = [child for child in answer.find("{*}error") if child.tag.startswith(f"{{{FUNCTIONS}}}")]
    name = own[0].tag.split("}")[1] if own else None
    return error_condition(answer)[1], name, own[0].get("kind") or own[0].get("reason") if own else None


def call(customer, application, function, argument="", request=None, timeout=20):
    return read_result(customer.ask("set", call_xml(application, function, argument, request), timeout))


def send_call(customer, application, function, argument="", request=None):
    """Sends without waiting: the IQ's id, for receive_call."""
    name = uuid.uuid4().hex
    customer.client.send(f"<iq type='set' id='{name}' to='{customer.to}'>"
                         f"{call_xml(application, function, argument, request)}</iq>")
    return name


def receive_call(customer, name, timeout=20):
    return read_result(customer.client.answer_to(name, timeout))
