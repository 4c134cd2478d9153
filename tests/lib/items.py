"""Applications that sell items under test: a shop whose parties are all real, players of its game, and what each party has of
a purchase inside it."""

import itertools
import shutil

from lib.cases import Case, CasesShop, Listening, copy_modules
from lib.functions import PROBES, call
from lib.host import key_file
from lib.market import MARKET
from lib.process import BUILD

ITEMS = {"coins": {"name": "Coins", "price": 200, "amount": 5}, "hat": {"name": "Hat' for free, or 'Cap", "price": 300},
         "hello": {"name": "Hello", "price": 0}}


class ItemShop(CasesShop):
    """Sells a game, free, with the functions of the tests' own module."""

    def __init__(self, folder, **options):
        super().__init__(folder, modules=copy_modules(folder / "modules"), **options)
        self.games = itertools.count(1)

    def start(self):
        super().start()
        self.install(BUILD / "tests/functions/probe-1.so", "probe.so")
        self.game()
        return self

    def install(self, source, name=None):
        target = self.modules / (name or source.name)
        shutil.copy(source, target.with_suffix(".new"))
        target.with_suffix(".new").rename(target)

    def game(self, name="game", *, items=ITEMS, functions=None, source="keygen"):
        """Puts an application on sale; `functions`: its group [Functions], None for the tests' own."""
        groups = {"Plugin": {"id": name, "name": name.capitalize(), "vendor": "acme", "version": "1.0", "price": 0,
                             "currency": "EUR"},
                  "Serial": {"source": source, "module": "libweather-keygen.so"},
                  "Functions": {"user_data": "4K", "rate": 0, "module": "probe.so", "names": ",".join(PROBES)}
                  if functions is None else functions,
                  **{f"Item {item}": keys for item, keys in items.items()}}
        path = self.folder / f"{name}.manifest"
        path.write_text(key_file({group: keys for group, keys in groups.items() if keys}))
        self.host.hostctl("plugin", "add", path)
        return name

    def player(self, *applications):
        """A customer who listens, and has these: the game, if nothing else is said."""
        player = Player(self, self.user("player"))
        self.customers.append(player)
        player.serials()
        for application in applications or ["game"]:
            order = player.buy(application)
            if order.get("state") != "fulfilled":
                player.push_of("order", id=order.get("id"), state="fulfilled")
        player.drain()
        return player


class Player(Listening):
    def items(self, application="game"):
        """{item: attributes}, as the market lists them to this user; or the error IQ."""
        answer = self.ask("get", f"<items xmlns='{MARKET}' application='{application}'/>")
        if answer.get("type") != "result":
            return answer
        return {item.get("id"): {key: item.get(key) for key in ("name", "price", "currency", "amount", "counter")}
                for item in answer[0]}

    def count(self, item="coins", application="game"):
        return int(self.items(application)[item]["counter"])

    def call(self, function, argument="", application="game"):
        return call(self, application, function, argument)

    def order(self, plugin, request=None):
        return ItemCase(self, plugin, request)

    def bought(self, plugin="game/coins"):
        case = self.order(plugin)
        case.pay()
        case.hear("fulfilled")
        return case


class ItemCase(Case):
    """One order of an item, "game/coins"."""

    def __init__(self, customer, plugin, request=None):
        super().__init__(customer, plugin, request)
        self.application, _, self.item = plugin.partition("/")

    def write_books(self, shown):
        credit = shown.get("credit")
        text = super().write_books(shown)
        return f"{text}; credit {credit['state']} {credit['credited']} of {credit['amount']}" if credit else text

    def write_vendor(self, _shown):
        return ""

    def settle(self, *, books, provider, told, count, timeout=15):
        self.settle_books(books=books, provider=provider, vendor="", timeout=timeout)
        self.hear(*told.split())
        assert self.customer.count(self.item, self.application) == count
