#!/bin/bash
# Installs what is missing, builds, and runs the main job: two people chat, one buys plugins and uses them.
#   ./demo.sh [--once]
# On a terminal the servers then stay up for you to log in; --once, the default without a terminal, stops
# everything that was started.
set -eu
cd "$(dirname "$0")"
tests/lib/install-packages build
if [ ! -e build/build.ninja ]; then
  said=$(meson setup build 2>&1) || { echo "$said"; exit 1; }
fi
ninja -C build >/dev/null || { ninja -C build; exit 1; }
exec /usr/bin/python3 tests/demo/demo.py "$@"
