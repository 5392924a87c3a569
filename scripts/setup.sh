#!/usr/bin/env bash
# Makes .venv/ with Atoll and its tools, from a plain Debian or Ubuntu with Python 3.11 or later.
# Runs again only when pyproject.toml or constraints.txt changed.   usage: scripts/setup.sh [extras, default: tools]
set -euo pipefail
cd "$(dirname "$0")/.."
extras="${1:-tools}"
stamp=".venv/.installed-${extras//,/-}"
want="$(cat pyproject.toml constraints.txt | sha256sum | cut -d' ' -f1)"
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$want" ]; then exit 0; fi

python=""
for candidate in python3.11 python3.12 python3.13 python3.14 python3; do
  if command -v "$candidate" > /dev/null && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    python="$candidate"; break
  fi
done
if [ -z "$python" ]; then
  echo "Atoll needs Python 3.11 or later, and none was found. On Debian 12 or Ubuntu 24.04: apt-get install python3 python3-venv" >&2
  exit 1
fi
if ! "$python" -c 'import venv, ensurepip' 2> /dev/null; then
  if [ "$(id -u)" = 0 ]; then
    echo "setup: installing Debian's python3-venv"
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv > /dev/null
  else
    echo "Python's venv module is missing. As root: apt-get install python3-venv" >&2
    exit 1
  fi
fi
[ -x .venv/bin/python ] || { echo "setup: making .venv with $("$python" --version)"; "$python" -m venv .venv; }
echo "setup: installing Atoll with ${extras//,/, } into .venv (once; a minute or two)"
.venv/bin/python -m pip install --quiet --no-warn-script-location --disable-pip-version-check -c constraints.txt -e ".[$extras]"
echo "$want" > "$stamp"
echo "setup: done"
