#!/usr/bin/env bash
# What the tests need beside Python: a PostgreSQL server, Chromium, a Chinese font. Installed when run as root.
set -euo pipefail
missing=()
ls /usr/lib/postgresql/*/bin/initdb > /dev/null 2>&1 || missing+=(postgresql)
command -v chromium > /dev/null || command -v chromium-browser > /dev/null || missing+=(chromium)
fc-list 2> /dev/null | grep -qi 'noto.*cjk' || missing+=(fonts-noto-cjk fontconfig)
[ ${#missing[@]} -eq 0 ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
  echo "test: installing Debian's ${missing[*]}"
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${missing[@]}" > /dev/null
else
  echo "test: without ${missing[*]} some tests skip and say so. As root: apt-get install ${missing[*]}"
fi
