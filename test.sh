#!/bin/bash
# Installs what is missing, builds, runs every test. The last line is `N passed, N failed`.
#   ./test.sh [--asan] [--only PATTERN]
exec "$(dirname "$0")/tests/run-all" "$@"
