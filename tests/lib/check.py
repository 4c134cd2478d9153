"""`host-module-check` and its reports."""

import json
import subprocess

from lib.process import program


def run(*arguments, timeout=120, **more):
    return subprocess.run([program("host-module-check"), *map(str, arguments)], capture_output=True, text=True,
                          timeout=timeout, stdin=subprocess.DEVNULL, **more)


def check(kind, path, *arguments):
    """What became of each row; the exit status says the same."""
    result = run(kind, path, "--json", *arguments)
    assert result.returncode in (0, 1), result.stderr
    report = json.loads(result.stdout)
    assert report["kind"] == kind and report["file"] == str(path)
    assert report["fine"] is (result.returncode == 0)
    return {row["row"]: row for row in report["rows"]}


def failed(rows):
    return {name for name, row in rows.items() if row["verdict"] == "failed"}


def texts(rows):
    return {name: (row["verdict"], row["text"]) for name, row in rows.items()}
