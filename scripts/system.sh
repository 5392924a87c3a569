#!/usr/bin/env bash
# What the tests need beside Python: a PostgreSQL and a MariaDB server, Chromium, a Chinese font, Java and with it Spark.
# Installed when run as root; else the tests that need them skip and say so.
set -euo pipefail
cd "$(dirname "$0")/.."
missing=()
ls /usr/lib/postgresql/*/bin/initdb > /dev/null 2>&1 || missing+=(postgresql)
[ -x /usr/sbin/mariadbd ] || missing+=(mariadb-server-core)  # the program alone: no service is started
command -v chromium > /dev/null || command -v chromium-browser > /dev/null || missing+=(chromium)
fc-list 2> /dev/null | grep -qi 'noto.*cjk' || missing+=(fonts-noto-cjk fontconfig)
command -v java > /dev/null || missing+=(default-jre-headless)
if [ ${#missing[@]} -gt 0 ]; then
  if [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
    echo "test: installing Debian's ${missing[*]}"
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${missing[@]}" > /dev/null
  else
    echo "test: without ${missing[*]} some tests skip and say so. As root: apt-get install ${missing[*]}"
  fi
fi
if command -v java > /dev/null; then scripts/setup.sh tools,spark; fi
