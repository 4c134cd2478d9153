"""Packages in backups: what a backup's rows name is in it, and is downloaded, bought and run from what was restored."""

import hashlib
import shutil

import pytest

from lib.market import Shop
from lib.package import Line, fetch, make_device, open_ground, package_path, runs, token_of


@pytest.fixture
def shop(tmp_path):
    one = Shop(tmp_path / "shop", market={"poll_s": "600"})
    try:
        yield one.start()
    finally:
        one.stop()


@pytest.fixture
def line(shop):
    with open_ground() as ground:
        yield Line(shop, ground)


def backup(shop, check=True):
    folder = shop.folder / "backup"
    return folder, shop.host.hostctl("backup", folder, check=check)


def restore(shop, folder):
    shop.host.stop()
    [row] = shop.host.hostctl_json("restore", folder)
    shop.host.start()
    return row


def files(folder):
    return {path.name.removesuffix(".stoa") for path in (folder / "packages").iterdir()}


def open_sales(shop, plugin):
    shop.host.hostctl("pool", "thaw", plugin, "--all")
    shop.host.hostctl("reconcile", "--from-provider", "--open-sales", check=False)


def test_a_restored_host_gives_the_packages_of_its_backup(shop, line):
    first, second = line.offer("1.0"), line.offer("2.0")
    owner = shop.user("client")
    assert make_device(shop, line.ground, owner).must("plugin", "install", line.id, "--yes")[-1]["version"] == "2.0"
    folder, _run = backup(shop)
    assert files(folder) == {first["hash"], second["hash"]}
    line.offer("3.0")

    shutil.rmtree(shop.host.data / "packages")
    row = restore(shop, folder)
    assert row["missing-packages"] is None and files(shop.host.data) == {first["hash"], second["hash"]}
    open_sales(shop, line.id)
    for user in (owner, shop.user("client")):
        one = make_device(shop, line.ground, user)
        assert one.must("plugin", "install", line.id, "--yes")[-1]["version"] == "2.0"
        assert runs(one, line.id) == ["2.0"]  # bought on the way
    customer = shop.customer()
    status, headers, body = fetch(shop, package_path(line, "1.0"), token_of(customer))
    assert status == 200 and headers["ETag"].strip('"') == hashlib.sha256(body).hexdigest()
    customer.close()


def test_what_is_there_and_whole_stays_and_what_is_damaged_is_mended(shop, line):
    added = line.offer("1.0")
    folder, _run = backup(shop)
    path = shop.host.data / "packages" / f"{added['hash']}.stoa"
    whole = path.read_bytes()
    inode = path.stat().st_ino
    restore(shop, folder)
    assert path.stat().st_ino == inode
    path.write_bytes(whole[:-1] + b"x")
    assert restore(shop, folder)["missing-packages"] is None and path.read_bytes() == whole


@pytest.mark.parametrize("harm", ["lost", "damaged"])
def test_a_backup_says_which_file_it_cannot_have(shop, line, harm):
    added = line.offer("1.0")
    path = shop.host.data / "packages" / f"{added['hash']}.stoa"
    if harm == "lost":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes() + b"x")
    folder, run = backup(shop, check=False)
    assert run.returncode == 1 and (line.id if harm == "lost" else path.name) in run.stderr
    assert not folder.exists() and not folder.with_name("backup.partial").exists()
    shop.host.hostctl("package", "revoke", line.id, "1.0")  # nobody gets it any more
    folder, run = backup(shop)
    assert run.returncode == 0


def test_a_backup_without_files_is_restored_and_says_what_is_missing(shop, line):
    line.offer("1.0")
    folder, _run = backup(shop)
    shutil.rmtree(folder / "packages")  # as those of earlier versions are
    shutil.rmtree(shop.host.data / "packages")
    assert restore(shop, folder)["missing-packages"] == f"{line.id} 1.0"
