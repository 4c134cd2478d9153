"""Packages of plugins from the vendor's key to the running plugin: signed, offered, downloaded with an account token,
installed, upgraded, rolled back, revoked."""

import base64
import concurrent.futures
import configparser
import gzip
import hashlib
import io
import json
import os
import shutil
import sqlite3
import subprocess
import tarfile

import pytest

from lib.market import Shop
from lib.package import TOKENS, Line, VendorKey, fetch, make_device, open_ground, package_path, plugin_folder, runs, token_of
from lib.process import program


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    one = Shop(tmp_path_factory.mktemp("shop"))
    try:
        yield one.start()
    finally:
        one.stop()


@pytest.fixture
def ground():
    with open_ground() as folder:
        yield folder


@pytest.fixture
def device(shop, ground):
    return lambda user=None: make_device(shop, ground, user)


@pytest.fixture
def line(shop, ground):
    return Line(shop, ground)


def installed(one):
    return {found["id"]: found["version"] for found in one.must("plugin", "list")}


def test_a_package_is_packed_offered_installed_and_run(line, device):
    line.offer("1.0")
    one = device()
    objects = one.must("plugin", "install", line.id, "--yes")
    assert [(found["event"], found["version"]) for found in objects] == [("permissions", "1.0"), ("installed", "1.0")]
    assert runs(one, line.id) == ["1.0"]


def refused(one, plugin, code):
    """Installing must fail so: why."""
    found, objects, err = one.run("plugin", "install", plugin, "--yes")
    assert found == code, (found, objects, err)
    return objects[-1]["text"]


def offer_file(line, path):
    """What hostctl says of a package that it refuses."""
    run = line.shop.host.hostctl("package", "add", path, check=False)
    assert run.returncode == 1, run
    return run.stderr


def entry(one, plugin):
    [found] = [found for found in one.must("catalog", plugin) if found["id"] == plugin]
    return found


# --- versions


def test_an_upgrade_keeps_the_version_before_it_and_rollback_brings_it_back(line, device):
    line.offer("1.0")
    one = device()
    one.must("plugin", "install", line.id, "--yes")
    line.offer("1.10")
    one.must("plugin", "install", line.id, "--yes")
    assert runs(one, line.id) == ["1.10"]
    assert one.must("plugin", "rollback", line.id)[-1]["version"] == "1.0"
    assert runs(one, line.id) == ["1.0"]
    assert one.must("plugin", "rollback", line.id)[-1]["version"] == "1.10"
    line.offer("2.0")
    one.must("plugin", "install", line.id, "--yes")
    copies = [path for path in (one.folder / "plugins" / line.id).iterdir() if path.is_dir()]
    assert len(copies) == 2 and installed(one) == {line.id: "2.0"}


def test_an_upgrade_and_a_rollback_ask_for_what_was_not_agreed_to(line, device):
    line.offer("1.0", data="8K")
    one = device()
    code, objects, err = one.run("plugin", "install", line.id)
    assert code == 1 and "--yes agrees" in err and objects[0]["new"] == ["keep up to 8 KiB of its own data"]
    assert installed(one) == {} and not (one.folder / "plugins" / line.id).exists()
    one.must("plugin", "install", line.id, "--yes")
    line.offer("2.0", data="4K")
    [shown, _done] = one.must("plugin", "install", line.id)
    assert shown["new"] == [] and installed(one) == {line.id: "2.0"}
    code, objects, err = one.run("plugin", "rollback", line.id)
    assert code == 1 and "--yes agrees" in err and objects[0]["new"] == ["keep up to 8 KiB of its own data"]
    assert installed(one) == {line.id: "2.0"} and runs(one, line.id) == ["2.0"]
    one.must("plugin", "rollback", line.id, "--yes")
    assert runs(one, line.id) == ["1.0"]
    [shown] = one.must("plugin", "list")
    assert (shown["version"], shown["state"]) == ("1.0", "verified")


def without_check(text):
    for group in ("check=int packed_check (cstr serial)\n", "[Return check]\n0=ok\n-2=bad-serial\n"):
        assert group in text
        text = text.replace(group, "")
    return text


def needs_serial(one, plugin):
    """What was found of the version in use."""
    file = configparser.ConfigParser()
    file.read(one.folder / "plugins" / plugin / "agreed")
    return file["Verified"].getboolean("needs-serial")


@pytest.mark.parametrize("changes", [(without_check, str), (str, without_check)], ids=["the newer judges", "the older judges"])
def test_whether_a_version_judges_serials_comes_back_with_it(line, device, changes):
    one = device()
    for version, change in zip(("1.0", "2.0"), changes):
        line.offer(version, change=change)
        one.must("plugin", "install", line.id, "--yes")
        assert needs_serial(one, line.id) is (change is str)
    for version, change in (("1.0", changes[0]), ("2.0", changes[1])):
        assert one.must("plugin", "rollback", line.id)[-1]["version"] == version
        assert needs_serial(one, line.id) is (change is str)
        assert runs(one, line.id) == [version]


def test_a_keygen_is_neither_packed_nor_offered(line, ground):
    def change(text):
        head = text[:text.index("[Permissions]")]
        return head + "[Symbols]\nkeygen=cstr packed_make (cstr user)\n"
    folder = plugin_folder(ground, line.id, "1.0", change=change)
    run = subprocess.run([program("host-module-check"), "pack", folder, "--key", line.key.path, "-o", ground / "keygen.stoa"],
                         capture_output=True, text=True)
    assert run.returncode == 1 and "belongs on a server" in run.stderr
    assert not (ground / "keygen.stoa").exists()


def test_without_an_earlier_version_there_is_no_rollback(line, device):
    line.offer("1.0")
    one = device()
    one.must("plugin", "install", line.id, "--yes")
    code, objects, _err = one.run("plugin", "rollback", line.id)
    assert code == 1 and "no earlier version" in objects[-1]["text"]
    assert runs(one, line.id) == ["1.0"]


def test_a_removed_plugin_is_gone_with_all_its_versions(line, device):
    line.offer("1.0")
    one = device()
    one.must("plugin", "install", line.id, "--yes")
    line.offer("2.0")
    one.must("plugin", "install", line.id, "--yes")
    one.must("plugin", "remove", line.id)
    assert installed(one) == {} and not (one.folder / "plugins" / line.id).exists()
    assert one.run("plugin", "remove", line.id)[0] == 1


def test_installing_what_is_installed_changes_nothing(line, device):
    line.offer("1.0")
    one = device()
    one.must("plugin", "install", line.id, "--yes")
    one.must("plugin", "install", line.id, "--yes")
    assert runs(one, line.id) == ["1.0"]
    assert one.run("plugin", "rollback", line.id)[0] == 1


def test_the_host_takes_no_lower_version_and_no_version_twice(line):
    line.offer("1.1")
    assert "a version may not fall" in offer_file(line, line.pack("1.0.9"))
    assert "a version is given once" in offer_file(line, line.pack("1.1", "--restricted"))
    assert "older than 1.1" in offer_file(line, line.pack("1.1-rc1"))


def test_a_client_takes_no_lower_version(line, device):
    """The newer one is revoked on the host, which then offers the older; the client has the newer and stays."""
    line.offer("1.0")
    line.offer("2.0")
    one = device()
    one.must("plugin", "install", line.id, "--yes")
    line.shop.host.hostctl("package", "revoke", line.id, "2.0", "--reason", "it leaks")
    assert "version 1.0 is older than 2.0" in refused(one, line.id, 5)


# --- what stops a package


def test_a_revoked_package_stops_at_the_next_start_and_says_why(line, device):
    line.offer("1.0")
    one = device()
    one.must("plugin", "install", line.id, "--yes")
    assert runs(one, line.id) == ["1.0"]
    line.shop.host.hostctl("package", "revoke", line.id, "1.0", "--reason", "it leaks")
    code, objects, _err = one.run("plugin", "use", line.id, "--yes", "--", line.id)
    assert code == 5 and "has revoked" in objects[-1]["text"] and "it leaks" in objects[-1]["text"]
    assert "package" not in entry(one, line.id)
    assert "no package" in refused(one, line.id, 1)


def test_a_revoked_upgrade_is_rolled_back_to_the_good_version(line, device):
    line.offer("1.0")
    one = device()
    one.must("plugin", "install", line.id, "--yes")
    line.offer("2.0")
    one.must("plugin", "install", line.id, "--yes")
    line.shop.host.hostctl("package", "revoke", line.id, "2.0")
    assert one.run("plugin", "use", line.id, "--yes", "--", line.id)[0] == 5
    one.must("plugin", "rollback", line.id)
    assert runs(one, line.id) == ["1.0"]
    assert one.run("plugin", "rollback", line.id)[0] != 0, "a revoked version is no way back"


def test_what_a_revoked_key_signed_is_neither_offered_nor_installed_nor_run(line, device):
    line.offer("1.0")
    one, other = device(), device()
    one.must("plugin", "install", line.id, "--yes")
    line.shop.host.hostctl("vendor", "key", "revoke", line.key.text, "--reason", "lost")
    assert "revoked the key" in refused(other, line.id, 5)
    code, objects, _err = one.run("plugin", "use", line.id, "--yes", "--", line.id)
    assert code == 5 and "revoked the key" in objects[-1]["text"]
    assert "the key that signed it is revoked" in offer_file(line, line.pack("1.1"))
    [shown] = [key for key in line.shop.host.hostctl_json("vendor", "key", "list", "acme") if key["key"] == line.key.text]
    assert shown["revoked"] and shown["reason"] == "lost"


def test_a_package_of_an_unknown_key_is_refused(line, ground):
    assert "not signed by a key of its vendor's" in offer_file(line, line.pack("1.0", key=VendorKey(ground)))


def test_another_vendors_key_signs_nothing_for_this_one(shop, line, ground):
    shop.host.hostctl("vendor", "add", f"rival{line.id}")
    key = VendorKey(ground)
    shop.host.hostctl("vendor", "key", "add", f"rival{line.id}", key.text)
    assert "not signed by a key of its vendor's" in offer_file(line, line.pack("1.0", key=key))


def test_a_key_is_good_within_its_dates_alone(line):
    early = line.add_key("--from", "2099-01-01T00:00:00Z")
    late = line.add_key("--from", "2001-01-01T00:00:00Z", "--to", "2002-01-01T00:00:00Z")
    assert "not valid yet" in offer_file(line, line.pack("1.0", key=early))
    assert "not valid any more" in offer_file(line, line.pack("1.0", key=late))


def test_keys_that_are_none_and_dates_that_are_none_are_refused(line, ground):
    host, key = line.shop.host, VendorKey(ground)
    assert host.hostctl("vendor", "key", "add", "acme", "abc", check=False).returncode == 1
    assert host.hostctl("vendor", "key", "add", "nobody", key.text, check=False).returncode == 1
    assert host.hostctl("vendor", "key", "add", "acme", key.text, "--from", "soon", check=False).returncode == 1
    assert host.hostctl("vendor", "key", "add", "acme", line.key.text, check=False).returncode == 1
    assert host.hostctl("vendor", "key", "revoke", key.text, check=False).returncode == 1
    assert host.hostctl("package", "revoke", line.id, "9.9", check=False).returncode == 1


# --- archives of strangers


def members(path):
    """[(name, offset of the header, offset of the data, size)] of a package."""
    with tarfile.open(path) as archive:
        return [(one.name, one.offset, one.offset_data, one.size) for one in archive.getmembers()]


def test_a_byte_changed_in_any_member_is_noticed(line, ground):
    good = line.pack("1.0")
    names = [name for name, *_rest in members(good)]
    assert names == ["manifest", "manifest.sig", "LICENCE", f"lib{line.id}.so", f"{line.id}.legacy"]
    for name, header, data, size in members(good):
        for at in (header + 1, data, data + size - 1):
            bad = bytearray(good.read_bytes())
            bad[at] ^= 1
            path = ground / "bad.stoa"
            path.write_bytes(bad)
            assert "cannot add" in offer_file(line, path), (name, at)
    assert line.shop.host.hostctl_json("package", "list", line.id) == []


def rebuilt(good, path, change):
    """The archive of @good anew, its members as change ([(TarInfo, bytes)]) leaves them."""
    with tarfile.open(good) as archive:
        parts = [(one, archive.extractfile(one).read()) for one in archive.getmembers()]
    parts = change(parts)
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        for about, data in parts:
            about.size = len(data) if about.isreg() else 0
            archive.addfile(about, io.BytesIO(data) if about.isreg() else None)
    return path


def plain(name, data=b"x"):
    return tarfile.TarInfo(name), data


def special(name, kind, target=""):
    about = tarfile.TarInfo(name)
    about.type, about.linkname = kind, target
    return about, b""


CHANGES = {
    "one more member": lambda parts: parts + [plain("more")],
    "one member less": lambda parts: parts[:-1],
    "a member twice": lambda parts: parts + [parts[-1]],
    "another order": lambda parts: parts[:2] + parts[:1:-1],
    "no signature": lambda parts: parts[:1] + parts[2:],
    "no manifest": lambda parts: parts[1:],
    "nothing": lambda parts: [],
    "a way up": lambda parts: parts[:2] + [plain("../../evil")] + parts[2:],
    "an absolute name": lambda parts: parts[:2] + [plain("/tmp/evil")] + parts[2:],
    "a symbolic link": lambda parts: parts[:2] + [special("LICENCE", tarfile.SYMTYPE, "/etc/passwd")] + parts[3:],
    "a hard link": lambda parts: parts[:2] + [special("LICENCE", tarfile.LNKTYPE, "manifest")] + parts[3:],
    "a device": lambda parts: parts[:2] + [special("LICENCE", tarfile.CHRTYPE)] + parts[3:],
    "a folder": lambda parts: parts[:2] + [special("LICENCE", tarfile.DIRTYPE)] + parts[3:],
    "a fifo": lambda parts: parts[:2] + [special("LICENCE", tarfile.FIFOTYPE)] + parts[3:],
    "a huge manifest": lambda parts: [plain("manifest", b"#" * 20000)] + parts[1:],
}


@pytest.mark.parametrize("change", CHANGES)
def test_an_archive_that_is_not_as_packed_is_refused(line, ground, change):
    assert "cannot add" in offer_file(line, rebuilt(line.pack("1.0"), ground / "bad.stoa", CHANGES[change]))


def test_a_compressed_archive_a_bomb_and_what_is_no_archive_are_refused(line, ground):
    good = line.pack("1.0")
    for name, data in [("gzip", gzip.compress(good.read_bytes())), ("bomb", gzip.compress(bytes(200 << 20))),
                       ("text", b"hello"), ("empty", b""), ("tail", good.read_bytes() + bytes(40000) + b"more"),
                       ("hidden", good.read_bytes() + b"x" * 512), ("cut", good.read_bytes()[:-1200])]:
        path = ground / name
        path.write_bytes(data)
        assert "cannot add" in offer_file(line, path), name
    huge = ground / "huge"
    with open(huge, "wb") as file:
        file.write(good.read_bytes())
        file.truncate(100 << 20)
    assert "larger than a package may be" in offer_file(line, huge)
    assert "not a plain file" in offer_file(line, ground)
    assert line.shop.host.process.is_running()


def test_a_member_that_claims_to_be_enormous_costs_no_memory(line, ground):
    good = bytearray(line.pack("1.0").read_bytes())
    good[512 * 0 + 124:512 * 0 + 136] = b"77777777777\0"  # the manifest's size: 8 GiB
    good[148:156] = b" " * 8
    good[148:156] = b"%06o\0 " % sum(good[:512])
    path = ground / "claims"
    path.write_bytes(good)
    assert "larger than it may be" in offer_file(line, path)


# --- downloads and tokens


def claims_of(token):
    return json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))


def test_an_account_token_says_what_the_protocol_says(shop):
    customer = shop.customer()
    token = token_of(customer)
    claims = claims_of(token)
    assert claims["iss"] == f"http://{shop.host.addresses['http']}" and claims["aud"] == shop.host.domain
    assert claims["sub"] == f"{customer.name}@{shop.host.domain}" and 0 < claims["exp"] - claims["iat"] <= 3600
    assert claims["jti"] != claims_of(token_of(customer))["jti"]
    customer.close()


def test_a_package_is_given_for_a_token_and_whole_or_from_an_offset(shop, line):
    line.offer("1.0")
    customer = shop.customer()
    token = token_of(customer)
    status, headers, body = fetch(shop, package_path(line, "1.0"), token)
    assert status == 200 and headers["Content-Type"] == "application/vnd.stoa.package"
    [row] = shop.host.hostctl_json("package", "list", line.id)
    assert len(body) == row["size"] and headers["ETag"].strip('"') == hashlib.sha256(body).hexdigest()
    status, headers, rest = fetch(shop, package_path(line, "1.0"), token, Range="bytes=1000-")
    assert status == 206 and rest == body[1000:]
    assert headers["Content-Range"] == f"bytes 1000-{len(body) - 1}/{len(body)}"
    assert fetch(shop, package_path(line, "1.0"), token, Range=f"bytes={len(body)}-")[0] == 416
    assert fetch(shop, package_path(line, "1.0"), token, Range="bytes=-5")[0] == 200
    customer.close()


def test_without_a_good_token_nothing_is_given(shop, line):
    line.offer("1.0")
    customer = shop.customer()
    token = token_of(customer)
    path = package_path(line, "1.0")
    status, headers, _body = fetch(shop, path)
    assert status == 401 and headers["WWW-Authenticate"] == "Bearer"
    header, payload, signature = token.split(".")
    changed = claims_of(token)
    changed["sub"] = f"somebody@{shop.host.domain}"
    forged = base64.urlsafe_b64encode(json.dumps(changed).encode()).rstrip(b"=").decode()
    for bad in ("", "x", "a.b.c", token[:-2], f"{header}.{forged}.{signature}", f"{header}.{payload}.", "Ä" * 20):
        status, headers, _body = fetch(shop, path, bad.encode().decode("latin-1"))
        assert status == 401 and "Bearer" in headers["WWW-Authenticate"], bad
    assert fetch(shop, path, Authorization=f"Basic {token}")[0] == 401
    assert fetch(shop, path, token)[0] == 200
    customer.close()


def test_another_hosts_token_opens_nothing(shop, line, tmp_path):
    line.offer("1.0")
    other = Shop(tmp_path / "other")
    try:
        other.start()
        customer = other.customer()
        assert fetch(shop, package_path(line, "1.0"), token_of(customer))[0] == 401
        customer.close()
    finally:
        other.stop()


def test_the_token_of_an_account_that_is_gone_or_new_opens_nothing(shop, line):
    line.offer("1.0")
    customer = shop.customer()
    token = token_of(customer)
    shop.host.hostctl("user", "remove", f"{customer.name}@{shop.host.domain}")
    assert fetch(shop, package_path(line, "1.0"), token)[0] == 401
    shop.host.add_user(customer.name)
    assert fetch(shop, package_path(line, "1.0"), token)[0] == 401, "a name registered anew is another user"
    customer.close()


def test_a_restricted_package_is_for_owners(shop, line, device):
    line.offer("1.0", "--restricted")
    one = device()
    assert "for owners" in refused(one, line.id, 1)
    one.must("buy", line.id, "--yes")
    one.must("plugin", "install", line.id, "--yes")
    assert runs(one, line.id) == ["1.0"]


def test_wrong_names_are_not_found_and_revoked_ones_gone(shop, line):
    line.offer("1.0")
    customer = shop.customer()
    token = token_of(customer)
    for path in (f"/v1/plugins/{line.id}/1.0/other.stoa", f"/v1/plugins/{line.id}/2.0/{line.id}-2.0.stoa",
                 f"/v1/plugins/nothing/1.0/nothing-1.0.stoa", f"/v1/plugins/{line.id}/1.0/%2e%2e%2fstore.key"):
        assert fetch(shop, path, token)[0] == 404, path
    shop.host.hostctl("package", "revoke", line.id, "1.0")
    assert fetch(shop, package_path(line, "1.0"), token)[0] == 410
    customer.close()


def test_what_does_not_match_the_catalog_is_not_installed(shop, line, device):
    """The file on the host's disk was changed behind its back: the client notices, and what it had stays."""
    line.offer("1.0")
    one = device()
    one.must("plugin", "install", line.id, "--yes")
    added = line.offer("2.0")
    path = shop.host.data / "packages" / f"{added['hash']}.stoa"
    data = bytearray(path.read_bytes())
    data[-3000] ^= 1
    path.write_bytes(data)
    assert "not what the catalog names" in refused(one, line.id, 5)
    path.write_bytes(data[:-10])
    assert "cannot be read" in refused(one, line.id, 1)
    assert runs(one, line.id) == ["1.0"]


def test_a_plugin_without_a_package_and_one_that_is_not_there_are_named(line, device):
    one = device()
    assert "no package" in refused(one, line.id, 1)
    assert "no plugin" in refused(one, "nothing-like-it", 1)


# --- the host's word


def trust_of(shop, key=None):
    query = f"?key={key}" if key else ""
    status, _headers, body = fetch(shop, f"/v1/trust{query}")
    assert status == 200
    return json.loads(body)


def document(trust):
    return claims_of(trust["document"])


def test_the_trust_document_grows_with_every_change(shop, line):
    before = document(trust_of(shop))
    key = line.add_key()
    after = document(trust_of(shop))
    assert after["number"] > before["number"]
    assert key.text in [one["key"] for one in after["keys"]] and key.text not in [one["key"] for one in before["keys"]]
    line.offer("1.0")
    shop.host.hostctl("package", "revoke", line.id, "1.0", "--reason", "bad")
    [revoked] = [one for one in document(trust_of(shop))["revoked"] if one["plugin"] == line.id]
    assert (revoked["version"], revoked["reason"]) == ("1.0", "bad")


def kept(one):
    path = one.folder / "trust" / one.server.domain
    return path, json.loads(path.read_text())


def test_a_lower_number_is_refused_and_the_known_document_stays(shop, line, device):
    line.offer("1.0")
    one = device()
    one.must("plugin", "install", line.id, "--yes")
    path, first = kept(one)
    line.shop.host.hostctl("package", "revoke", line.id, "1.0")
    assert one.run("plugin", "use", line.id, "--", line.id)[0] == 5
    path, second = kept(one)
    assert first != second
    # The host's store is put back to before the revocation, by somebody who has its disk.
    shop.host.stop()
    with sqlite3.connect(shop.host.data / "market.db") as db:
        db.execute("UPDATE trust_document SET number = 5, jws = ?", (first["document"],))
    shop.host.start()
    one.address = shop.host.address
    assert "not newer" in refused(one, line.id, 5)
    assert kept(one)[1] == second
    assert one.run("plugin", "use", line.id, "--", line.id)[0] == 5, "it stays revoked"
    line.add_key()  # the next change makes a document with a higher number
    assert "revoked" in document(trust_of(shop)) and document(trust_of(shop))["number"] > 5


def test_a_new_key_of_the_host_is_followed_because_the_old_one_signed_it(shop, line, device):
    line.offer("1.0")
    one = device()
    one.must("plugin", "install", line.id, "--yes")
    old = json.loads(kept(one)[1]["key"])["kid"]
    for _ in range(3):
        shop.host.hostctl("key", "rotate")
    assert len(trust_of(shop, old)["successions"]) == 3
    line.offer("1.1")
    one.must("plugin", "install", line.id, "--yes")
    assert json.loads(kept(one)[1]["key"])["kid"] == trust_of(shop)["key"]["kid"] != old
    assert runs(one, line.id) == ["1.1"]


def test_a_new_key_of_the_host_without_the_old_ones_word_is_refused(shop, line, device):
    line.offer("1.0")
    one = device()
    one.must("plugin", "install", line.id, "--yes")
    path, before = kept(one)
    shop.host.hostctl("key", "rotate")
    shop.host.stop()
    with sqlite3.connect(shop.host.data / "market.db") as db:
        db.execute("UPDATE signing_key SET succession = NULL")
    shop.host.start()
    one.address = shop.host.address
    line.offer("1.1")
    assert "new key that its old one did not sign" in refused(one, line.id, 5)
    assert kept(one)[1] == before
    assert runs(one, line.id) == ["1.0"]


def test_a_forged_succession_is_refused(shop, line, device):
    line.offer("1.0")
    one = device()
    one.must("plugin", "install", line.id, "--yes")
    shop.host.hostctl("key", "rotate")
    shop.host.stop()
    with sqlite3.connect(shop.host.data / "market.db") as db:
        for kid, text in db.execute("SELECT kid, succession FROM signing_key WHERE succession IS NOT NULL").fetchall():
            head, payload, signature = text.split(".")
            db.execute("UPDATE signing_key SET succession = ? WHERE kid = ?",
                       (f"{head}.{payload}.{signature[::-1]}", kid))
    shop.host.start()
    one.address = shop.host.address
    line.offer("1.1")
    refused(one, line.id, 5)
    assert runs(one, line.id) == ["1.0"]


# --- what lies on the device


def copy_of(one, plugin):
    line = (one.folder / "plugins" / plugin / "current").read_text().strip()
    return (one.folder / "plugins" / plugin / line).parent


@pytest.mark.parametrize("name", ["manifest", "manifest.sig", "lib{}.so", "{}.legacy"])
def test_an_installed_file_that_changed_does_not_run(line, device, name):
    line.offer("1.0")
    one = device()
    one.must("plugin", "install", line.id, "--yes")
    path = copy_of(one, line.id) / name.format(line.id)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert one.run("plugin", "use", line.id, "--yes", "--", line.id)[0] == 5
    one.must("plugin", "install", line.id, "--yes")
    assert runs(one, line.id) == ["1.0"]


def test_without_what_the_host_said_nothing_it_vouched_for_runs(line, device):
    line.offer("1.0")
    one = device()
    one.must("plugin", "install", line.id, "--yes")
    path, _trust = kept(one)
    path.write_text("{}")
    code, objects, _err = one.run("plugin", "use", line.id, "--yes", "--", line.id)
    assert code == 5 and "damaged" in objects[-1]["text"]


# --- what happens in between


def test_what_it_asks_for_is_shown_and_a_no_installs_nothing(line, device):
    line.offer("1.0")
    one = device()
    screen = one.terminal("plugin", "install", line.id)
    screen.wait("Install it?")
    assert "asks that it may:" in screen.text() and "keep up to 4 KiB of its own data" in screen.text()
    screen.enter("n")
    assert screen.end() == 1
    assert installed(one) == {} and not (one.folder / "plugins" / line.id).exists()


def test_a_kill_in_the_middle_of_an_upgrade_leaves_one_whole_version(line, device):
    line.offer("1.0")
    one = device()
    one.must("plugin", "install", line.id, "--yes")
    line.offer("2.0")
    mine = one.folder / "plugins" / line.id
    before = set(mine.iterdir())
    interrupted = 0
    for _ in range(8):
        process = one.spawn("--json", "plugin", "install", line.id, "--yes")
        while process.poll() is None and set(mine.iterdir()) <= before:
            pass
        if process.poll() is None:
            process.kill()
            interrupted += 1
        process.communicate()
        version = installed(one)[line.id]
        assert version in ("1.0", "2.0") and runs(one, line.id) == [version]
        if version == "2.0":
            one.must("plugin", "rollback", line.id)
    assert interrupted, "no installation was met in the middle"
    one.must("plugin", "install", line.id, "--yes")
    assert runs(one, line.id) == ["2.0"]
    assert not [path for path in mine.iterdir() if path.name.startswith(".new")], "what was half written is gone"


def test_a_kill_between_the_steps_of_an_upgrade_leaves_the_old_version(line, device):
    """The folder as each step of an upgrade leaves it."""
    line.offer("1.0")
    one = device()
    one.must("plugin", "install", line.id, "--yes")
    mine = one.folder / "plugins" / line.id
    old = (mine / "current").read_text()
    half = mine / ".new-abcdef"
    shutil.copytree(copy_of(one, line.id), half)
    (half / f"lib{line.id}.so").write_bytes(b"half")
    assert runs(one, line.id) == ["1.0"]
    shutil.copytree(copy_of(one, line.id), mine / ("0" * 64))
    assert runs(one, line.id) == ["1.0"]
    (mine / "previous").write_text(old)
    assert runs(one, line.id) == ["1.0"]
    for path in (half, mine / ("0" * 64), mine / "previous"):  # all of them the client's own
        assert path.exists()


def test_the_server_killed_while_it_adds_a_package_has_it_wholly_or_not_at_all(shop, line):
    paths = [line.pack(f"1.{number}") for number in range(6)]
    for path in paths:
        adding = subprocess.Popen([program("hostctl"), "--config", shop.host.config_path, "package", "add", path],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        known = len(list((shop.host.data / "packages").iterdir()))
        while adding.poll() is None and len(list((shop.host.data / "packages").iterdir())) <= known:
            pass
        shop.host.restart(hard=True)
        adding.wait()
        customer = shop.customer()
        token = token_of(customer)
        for row in shop.host.hostctl_json("package", "list", line.id):
            status, headers, body = fetch(shop, package_path(line, row["version"]), token)
            assert status == 200 and headers["ETag"].strip('"') == hashlib.sha256(body).hexdigest()
        customer.close()
        shop.host.hostctl("package", "add", path, check=False)
    assert [row["version"] for row in shop.host.hostctl_json("package", "list", line.id)] == [f"1.{n}" for n in range(6)]


def test_many_downloads_at_once_are_all_whole(shop, line):
    line.offer("1.0")
    customer = shop.customer()
    token = token_of(customer)
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _n: fetch(shop, package_path(line, "1.0"), token), range(64)))
    assert {status for status, *_rest in answers} <= {200, 503}
    whole = [body for status, _headers, body in answers if status == 200]
    assert len(whole) >= 32 and len(set(whole)) == 1
    customer.close()


def test_a_token_is_for_users_of_the_host_alone_and_the_feature_is_not_announced(shop):
    customer = shop.customer()
    info = customer.ask("get", "<query xmlns='http://jabber.org/protocol/disco#info'/>")
    assert TOKENS not in [feature.get("var") for feature in info[0]]
    assert customer.ask("get", f"<account-token xmlns='{TOKENS}'/>").get("type") == "error"
    customer.close()


def test_malformed_questions_about_trust_are_refused(shop):
    customer = shop.customer()
    for text in ("number='x'", "number='-1'", "number='99999999999999999999'"):
        assert customer.ask("get", f"<trust xmlns='urn:stoa:market:1' {text}/>").get("type") == "error", text
    answer = customer.ask("get", "<trust xmlns='urn:stoa:market:1' key='nobody' number='3'/>")[0]
    assert answer.find("{urn:stoa:market:1}document") is not None
    assert answer.find("{urn:stoa:market:1}succession") is None
    held = answer.get("number")
    kid = json.loads(answer.find("{urn:stoa:market:1}key").text)["kid"]
    again = customer.ask("get", f"<trust xmlns='urn:stoa:market:1' key='{kid}' number='{held}'/>")[0]
    assert again.get("unchanged") == "true" and len(again) == 0
    customer.close()
