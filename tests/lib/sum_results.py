"""Sums what meson (FOLDER/*.json) and pytest (FOLDER/*.xml) recorded into the last line of a test run.

Exit status: 0 if something ran and nothing failed. A record that cannot be read counts as one failure."""

import json
import pathlib
import re
import sys
import xml.etree.ElementTree as ElementTree


def count_meson(path):
    """One line of JSON a test program; a TAP program counts by its own lines, and once more if it
    failed as a whole (crashed, timed out, wrong plan) without saying so in a line."""
    passed = failed = skipped = 0
    for line in path.read_text().splitlines():
        test = json.loads(line)
        tap = re.findall(r"^(ok|not ok)\b[^#\n]*(#\s*skip)?", test.get("stdout", ""), re.M | re.I)
        skipped += sum(1 for _, skip in tap if skip)
        good = sum(1 for word, skip in tap if word == "ok" and not skip)
        bad = sum(1 for word, skip in tap if word != "ok" and not skip)
        result = test["result"]
        if result in ("OK", "EXPECTEDFAIL"):
            passed += good if tap else 1
            failed += bad
        elif result == "SKIP":
            skipped += 0 if tap else 1
        else:
            passed += good
            failed += max(bad, 1)
    return passed, failed, skipped


def count_pytest(path):
    passed = failed = skipped = 0
    for suite in ElementTree.parse(path).getroot().iter("testsuite"):
        bad = int(suite.get("failures")) + int(suite.get("errors"))
        skip = int(suite.get("skipped"))
        failed += bad
        skipped += skip
        passed += int(suite.get("tests")) - bad - skip
    return passed, failed, skipped


def main(folder):
    passed = failed = skipped = 0
    for path in sorted(pathlib.Path(folder).iterdir()):
        count = {".json": count_meson, ".xml": count_pytest}.get(path.suffix)
        if count is None:
            continue
        try:
            good, bad, skip = count(path)
        except (ValueError, KeyError, TypeError, ElementTree.ParseError):
            good, bad, skip = 0, 1, 0
        if good or bad or skip:
            print(f"{path.stem}: {good} passed, {bad} failed, {skip} skipped")
        passed, failed, skipped = passed + good, failed + bad, skipped + skip
    if skipped:
        print(f"{skipped} skipped: each says why above")
    print(f"{passed} passed, {failed} failed")
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
