"""The binary interface of plugin-abi/include/host: read from the headers, measured by a compiler, kept in
plugin-abi/layout.lp64. A vendor's object that was built once runs for ever, so nothing in that file may change
but by growth: new structs, new members at an end, new values.

    python3 tests/house/abi.py            # what it is now
    python3 tests/house/abi.py --update   # keep it, if it only grew
"""

import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
INCLUDE = ROOT / "plugin-abi/include"
GOLDEN = ROOT / "plugin-abi/layout.lp64"


def headers():
    return sorted(path.relative_to(INCLUDE).as_posix() for path in (INCLUDE / "host").glob("*.h"))


def squeeze(text):
    text = " ".join(text.split())
    return re.sub(r"\s*([(),*])\s*", r"\1", text).replace(",", ", ").replace("*", " *").replace("* *", "**").replace("( *", " (*")


class Interface:
    """What the headers declare, in their order."""

    def __init__(self, names=None, include=INCLUDE):
        self.macros, self.enums, self.structs, self.functions, self.unread = {}, {}, {}, {}, []
        for name in names or headers():
            self._read((include / name).read_text())

    def _read(self, text):
        text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
        for line in re.findall(r"^#define[^\n]*", text, re.M):
            match = re.match(r"#define\s+(\w+)(\(?)\s*(.*)", line)
            if match and match[3] and not match[2] and match[1] != "HOST_EXPORT":
                self.macros[match[1]] = match[3].strip()
        text = re.sub(r"^\s*#.*$", "", text, flags=re.M)
        text = re.sub(r'extern\s+"C"\s*\{', "", text)
        for statement in re.findall(r"[^;{}]*(?:\{[^{}]*\}[^;{}]*)?;", text):
            self._statement(statement.strip().rstrip(";").strip())

    def _statement(self, text):
        enum = re.fullmatch(r"typedef\s+enum\s*\w*\s*\{(.*)\}\s*(\w+)", text, re.S)
        struct = re.fullmatch(r"typedef\s+struct\s*(\w*)\s*\{(.*)\}\s*(\w+)", text, re.S)
        function = re.fullmatch(r"HOST_EXPORT\s+(.*?)(\w+)\s*\((.*)\)", text, re.S)
        if enum:
            self.enums[enum[2]] = [one.split("=")[0].strip() for one in enum[1].split(",") if one.strip()]
        elif struct:
            self.structs[struct[3]] = [self._member(one) for one in struct[2].split(";") if one.strip()]
        elif function:
            self.functions[function[2]] = squeeze(f"{function[1]} ({function[3]})")
        elif not re.fullmatch(r"typedef\s+struct\s+(\w+)\s+\1", text):
            self.unread.append(text)

    def _member(self, text):
        """(name, type): "int (*)(void *host)" for a function, "uint8_t[32]" for an array."""
        text = " ".join(text.split())
        for pattern, form in ((r"(.*)\(\*(\w+)\)\s*\((.*)\)", "{0} (*)({2})"), (r"(.*?)(\w+)\s*\[(.*)\]", "{0}[{2}]"),
                              (r"(.*?)(\w+)", "{0}")):
            match = re.fullmatch(pattern, text)
            if match:
                return match[2], squeeze(form.format(match[1].strip(), None, (match.groups() + ("",))[2].strip()))
        self.unread.append(text)
        return text, ""


def measure(interface, compiler="cc", include=INCLUDE, names=None):
    """The layout as lines of text, by the compiler."""
    out = ["#include <stdio.h>", "#include <stddef.h>"] + [f"#include <{name}>" for name in names or headers()]
    out += ["#define M(s, m) ((unsigned) sizeof (((s *) 0)->m))", "int main (void)", "{"]
    for name, value in sorted(interface.macros.items()):
        line = f'"%s\\n", {name}' if value.startswith('"') else f'"%lld\\n", (long long) {name}'
        out.append(f'printf ("macro {name} "); printf ({line});')
    for name, values in sorted(interface.enums.items()):
        out.append(f'printf ("enum {name} size %u\\n", (unsigned) sizeof ({name}));')
        out += [f'printf ("  {value} %d\\n", (int) {value});' for value in values]
    for name, members in sorted(interface.structs.items()):
        out.append(f'printf ("struct {name} size %u\\n", (unsigned) sizeof ({name}));')
        out += [f'printf ("  {member} at %u size %u %s\\n", (unsigned) offsetof ({name}, {member}), M ({name}, {member}), '
                f'"{kind}");' for member, kind in members]
    out += [f'puts ("function {name} {kind}");' for name, kind in sorted(interface.functions.items())]
    out += ["return 0;", "}"]
    with tempfile.TemporaryDirectory() as folder:
        source, program = pathlib.Path(folder) / "layout.c", pathlib.Path(folder) / "layout"
        source.write_text("\n".join(out) + "\n")
        subprocess.run([*compiler.split(), "-I", include, "-o", program, source], check=True)
        return subprocess.run([program], check=True, capture_output=True, text=True).stdout


def blocks(layout):
    """{"struct HostEvent": [its lines]}; a macro or function is a block of its own."""
    found = {}
    for line in layout.splitlines():
        if line.startswith("  "):
            found[last].append(line)
            continue
        kind, name, *rest = line.split(" ", 2)
        last = f"{kind} {name}"
        found[last] = [] if kind in ("struct", "enum") else rest
    return found


def broken(old, new):
    """What in `new` would break objects that were built for `old`."""
    old, new, faults = blocks(old), blocks(new), []
    for name, lines in old.items():
        if name not in new:
            faults.append(f"{name} is gone")
        elif new[name][:len(lines)] != lines:
            faults.append(f"{name} changed: {lines} became {new[name]}")
    return faults


if __name__ == "__main__":
    now = measure(Interface())
    if sys.argv[1:] != ["--update"]:
        sys.stdout.write(now)
    else:
        faults = broken(GOLDEN.read_text(), now) if GOLDEN.exists() else []
        if faults:
            sys.exit("not compatible:\n" + "\n".join(faults))
        GOLDEN.write_text(now)
