"""Old libraries, used as they are: samples of a vendor's, a keygen of 2001 inside the server, and libraries of Debian's
that never heard of us, each by a descriptor alone."""

import hashlib
import json
import pathlib
import re
import subprocess
import sysconfig
import zlib

import pytest

from lib.device import ship, ship_sample
from lib.market import Shop
from lib.process import BUILD, ROOT

LIBRARIES = pathlib.Path("/usr/lib") / sysconfig.get_config_var("MULTIARCH")
THIRD_PARTY = ROOT / "vendor-kit/plugins/third-party"


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    one = Shop(tmp_path_factory.mktemp("shop"))
    try:
        yield one.start()
    finally:
        one.stop()


def answer(one, plugin, *words):
    """What a command of a plugin says."""
    code, objects, err = one.run("plugin", "use", plugin, "--", *words)
    found = [item["text"] for item in objects if item.get("event") == "result"]
    assert (code, len(found)) == (0, 1), f"{words}: exit {code}: {objects} {err}"
    return found[0]


def refusal(one, plugin, *words):
    code, objects, err = one.run("plugin", "use", plugin, "--", *words)
    assert code == 5, f"{words}: exit {code}: {objects} {err}"
    return err.strip().splitlines()[-1]


def pay(shop, running):
    """Pays when the page is there, and waits for the end: what came after the page."""
    try:
        for line in running.stdout:
            found = json.loads(line)
            if found.get("charge"):
                assert shop.stub.press({"url": found["charge"]}, "pay")[0] == 303
                break
        out, err = running.communicate(timeout=40)
    finally:
        running.kill()
    assert running.returncode == 0, err
    return [json.loads(line) for line in out.splitlines()]


def buy(shop, one, plugin, *words):
    """What the first use of a plugin says, which buys it."""
    objects = pay(shop, one.spawn("--json", "plugin", "use", plugin, "--yes", "--", *words))
    return [item["text"] for item in objects if item["event"] == "result"]


# --- a keygen of 2001

def test_purchase_with_a_legacy_keygen_ends_in_a_plugin_that_runs(shop, device, ground):
    shop.plugin("almanac", source="keygen", module="almanac-keygen.legacy", term="P1Y")
    one = device(ship_sample(ground, "almanac"))
    assert buy(shop, one, "almanac", "almanac", "2026-12-24") == [
        "Thursday 24 December 2026, day 358, week 52; the moon is full"]
    serial, = one.must("serials", "--reveal")
    assert re.fullmatch(r"ALM4-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{4}", serial["serial"])
    assert answer(one, "almanac", "almanac", "2000-01-21").endswith("the moon is full")


def test_each_customer_of_a_legacy_keygen_gets_another_serial(shop, device, ground):
    shop.plugin("almanac2", source="keygen", module="almanac-keygen.legacy")
    serials = set()
    for _ in range(3):
        one = device()
        pay(shop, one.spawn("--json", "buy", "almanac2", "--yes"))
        serial, = one.must("serials", "--reveal")
        assert serial["serial"].startswith("ALM4-FFFF-")
        serials.add(serial["serial"])
    assert len(serials) == 3


def test_modules_show_a_legacy_keygen_and_not_its_object(shop):
    listed = {one["module"]: one["state"] for one in shop.host.hostctl_json("module", "list")}
    assert listed["almanac-keygen.legacy"] in ("installed", "running")
    assert "libkgclassic.so" not in listed


# --- samples

@pytest.mark.parametrize("plugin, key, words, said", [
    ("eggtimer", "EGG-1234561", ("egg", "180", "soft", "ones"), "the water boils"),
    ("runes", "FUTHARK-240", ("runes", "1"), None),
])
def test_a_sample_is_installed_bought_and_used(shop, device, ground, plugin, key, words, said):
    shop.plugin(plugin, source="pool")
    shop.fill(plugin, [key])
    one = device(ship_sample(ground, plugin))
    text, = buy(shop, one, plugin, *words)
    assert text == said or (said is None and len(text) == 1 and "ᚠ" <= text <= "ᛟ")


# --- libraries that never heard of us

def third_party(device, ground, name, library):
    return device(ship(ground, THIRD_PARTY / f"{name}.legacy.in", LIBRARIES / library))


def test_libidn2_makes_domain_names(device, ground):
    one = third_party(device, ground, "idn", "libidn2.so.0")
    assert answer(one, "idn", "idn", "bücher.example") == "xn--bcher-kva.example"
    assert answer(one, "idn", "idn-unicode", "xn--bcher-kva.example") == "bücher.example"
    assert "string start/ends with forbidden hyphen" in refusal(one, "idn", "idn", "-ü.example")


def test_zlib_counts_and_compresses(device, ground):
    one = third_party(device, ground, "zlib", "libz.so.1")
    assert answer(one, "zlib", "crc32", "123456789") == "cbf43926"
    assert answer(one, "zlib", "adler32", "Wikipedia") == str(zlib.adler32(b"Wikipedia"))
    text = "to be or not to be " * 20
    assert zlib.decompress(bytes.fromhex(answer(one, "zlib", "deflate", text))).decode() == text
    assert answer(one, "zlib", "zlib-version").startswith("1.")


def test_libcrypt_hashes_passwords(device, ground):
    one = third_party(device, ground, "crypt", "libcrypt.so.1")
    expected = subprocess.run(["openssl", "passwd", "-6", "-salt", "saltstring", "Hello world!"], check=True,
                              capture_output=True, text=True).stdout.strip()
    assert answer(one, "crypt", "crypt", "$6$saltstring", "Hello", "world!") == expected
    assert answer(one, "crypt", "crypt-check", "$6$saltstring") == "it is fine"
    assert refusal(one, "crypt", "crypt", "$6$saltstring").endswith("needs at least 2 words")


def test_hunspell_spells_with_its_dictionary(device, ground):
    one = third_party(device, ground, "hunspell", "libhunspell-1.7.so.0")
    assert answer(one, "hunspell", "spell", "receive") == "it is spelt well"
    assert answer(one, "hunspell", "spell", "recieve") == "there is no such word"
    assert "receive" in answer(one, "hunspell", "suggest", "recieve").splitlines()
    assert "dog" in answer(one, "hunspell", "stem", "dogs").splitlines()


def test_libcrypto_writes_digests(device, ground):
    one = third_party(device, ground, "digest", "libcrypto.so.3")
    assert answer(one, "digest", "sha256", "abc") == hashlib.sha256(b"abc").hexdigest()
    assert answer(one, "digest", "sha1", "abc") == hashlib.sha1(b"abc").hexdigest()


def test_libmagic_knows_what_it_sees(device, ground):
    one = third_party(device, ground, "magic", "libmagic.so.1")
    assert "/bin/sh script" in answer(one, "magic", "magic", "#!/bin/sh")
    assert "PDF document" in answer(one, "magic", "magic", "%PDF-1.4")


# --- what vendors are told

def test_plugin_check_finds_all_that_is_wrong_and_installs_nothing(device, ground):
    one = device()
    good = ship(ground, THIRD_PARTY / "zlib.legacy.in", LIBRARIES / "libz.so.1")
    assert one.must("plugin", "check", good) == []
    assert one.must("plugin", "list") == []

    text = good.read_text()
    good.write_text(text.replace("cstr zlibVersion", "cstr zlibColour"))
    code, objects, _err = one.run("plugin", "check", good)
    assert code == 5
    assert [item["text"] for item in objects if item["event"] == "finding"] == [
        "'libz.so.1' cannot be used: the object has no symbol 'zlibColour'"]

    good.write_text(text.replace("show=hex", "show=loud").replace("u64 crc32", "ulong crc32")
                    .replace("help=The Adler-32 of a text\n", ""))
    code, objects, _err = one.run("plugin", "check", good)
    assert code == 5
    assert [item["text"] for item in objects if item["event"] == "finding"] == [
        "zlib.legacy:11: [Command crc32] call: unknown type 'ulong'",
        "zlib.legacy:21: [Command deflate] show: 'loud' is none of text, decimal and hex"]

    good.write_text(text.replace("help=The Adler-32 of a text\n", ""))
    assert one.must("plugin", "check", good) == [
        {"event": "finding", "level": "warning", "text": "zlib.legacy: [Command adler32]: has no help="}]

    (good.parent / "libz.so.1").write_bytes(b"\x7fELF")
    code, objects, _err = one.run("plugin", "check", good)
    assert code == 5 and "is not the object that 'zlib.legacy' describes" in objects[0]["text"] + objects[1]["text"]


def test_plugin_check_looks_at_a_keygen_and_a_client_does_not_install_it(device, ground):
    one = device()
    described = ship(ground, ROOT / "keygen-modules/classic/almanac-keygen.legacy.in",
                     BUILD / "keygen-modules/libkgclassic.so")
    assert one.must("plugin", "check", described) == []
    code, _objects, err = one.run("plugin", "install", described, "--yes")
    assert code == 5 and "describes a keygen, which belongs on a server" in err
