"""Runs gajim itself, and does in its windows what a person does who buys a plugin: its window of commands, the form's
combo box, its buttons. What is seen is printed as JSON lines.

    gajim_driver.py FOLDER JID PASSWORD HOST PORT CERTIFICATE MARKET PLUGIN
"""

import json
import os
import shutil
import sys
import traceback

folder, jid, password, host, port, certificate, market, plugin = sys.argv[1:]
sys.argv = ["gajim", "--config-path", folder]

from gi.repository import GLib, Gtk  # noqa: E402
from gajim.common import app, configpaths, ged  # noqa: E402
from gajim.common.settings import Settings  # noqa: E402
from gajim.gajim import main  # noqa: E402


def say(**event):
    print(json.dumps(event), flush=True)


def make_account():
    configpaths.set_config_root(folder)
    configpaths.init()
    configpaths.create_paths()
    app.settings = Settings()
    app.settings.init()
    app.settings.set_app_setting("use_keyring", False)
    app.settings.add_account("test")
    name, domain = jid.split("@")
    for key, value in {"name": name, "hostname": domain, "password": password, "savepass": True, "active": True,
                       "use_custom_host": True, "custom_host": host, "custom_port": int(port),
                       "custom_type": "START TLS", "autoconnect": True}.items():
        app.settings.set_account_setting("test", key, value)
    app.settings.shutdown()
    shutil.copy(certificate, configpaths.get("CERT_STORE") / "server.pem")


def walk(widget):
    yield widget
    if isinstance(widget, Gtk.Container):
        for child in widget.get_children():
            yield from walk(child)


def texts(page):
    return [one.get_text() for one in walk(page) if isinstance(one, (Gtk.Label, Gtk.Entry)) and one.get_mapped()]


def until(predicate):
    while not predicate():
        yield
    yield  # the window is drawn


def click(window, name):
    button = window._buttons[name][0]
    yield from until(lambda: button.get_mapped() and button.get_sensitive())
    button.clicked()


def run_command(window, node):
    yield from until(lambda: window.get_current_page() == "commands")
    page = window.get_page("commands")
    for row in page._store:
        if row[1].endswith(":" + node):
            page._treeview.get_selection().select_iter(row.iter)
    yield from click(window, "execute")


def stage(window, button):
    """Waits for a form with that button, and shows it."""
    page = window.get_page("stage")
    yield from until(lambda: window.get_current_page() == "stage" and page._last_stage_data is not None
                     and button in page.get_visible_buttons())
    say(event="form", texts=texts(page), buttons=page.get_visible_buttons())


def end(window):
    yield from until(lambda: window.get_current_page() in ("completed", "error"))
    name = window.get_current_page()
    say(event=name, texts=texts(window.get_page(name)))
    window.destroy()


def is_online():
    return getattr(app, "interface", None) is not None and app.get_client("test").state.is_available


def scene():
    from gajim.gtk.adhoc import AdHocCommands
    yield from until(is_online)
    heard = []
    app.ged.register_event_handler("message-received", ged.GUI1, lambda event: heard.append(event.msgtxt))
    window = AdHocCommands("test", market)
    yield from run_command(window, "buy")
    yield from stage(window, "next")
    combo = next(one for one in walk(window.get_page("stage")) if isinstance(one, Gtk.ComboBoxText))
    combo.set_active_id(plugin)
    yield from click(window, "next")
    yield from stage(window, "complete")
    yield from click(window, "complete")
    yield from end(window)
    yield from until(lambda: heard)
    say(event="message", texts=heard)
    for node in ("my-plugins", "catalog", "orders", "decline"):
        window = AdHocCommands("test", market)
        yield from run_command(window, node)
        yield from end(window)


def step(steps):
    try:
        next(steps)
        return True
    except StopIteration:
        say(event="done")
    except Exception:
        say(event="failed", texts=[traceback.format_exc()])
    os._exit(0)


make_account()
GLib.timeout_add(50, step, scene())
main()
