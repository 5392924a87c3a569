"""What the surroundings say: one frozen record, read once. Nobody else reads the environment.

ATOLL_HOME       folder for keys, state and logs           ~/.atoll
ATOLL_LANGUAGE   en or zh                                  from LC_ALL, LC_MESSAGES, LANG
ATOLL_CA         file with the certificates to trust       SSL_CERT_FILE
ATOLL_THREADS    threads that a site computes on           all processors
ATOLL_SOURCE_PASSWORD  of a hospital's database that is read    the driver's own places
HTTPS_PROXY, NO_PROXY, CI, NO_COLOR                        as everywhere
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args
from urllib.parse import urlsplit

from atoll.errors import OperatorError

Language = Literal["en", "zh"]


@dataclass(frozen=True)
class Settings:
    """Read with `settings()`; tests make their own with `read`."""

    home: Path
    language: Language
    language_chosen: bool  # by ATOLL_LANGUAGE, not by the machine's locale
    https_proxy: str | None
    no_proxy: tuple[str, ...]
    ca_file: Path | None
    threads: int
    ci: bool
    color: bool
    source_password: str | None = field(default=None, repr=False)

    def proxy(self, host: str) -> str | None:
        """The proxy for HTTPS to this host, or None for a direct way."""
        name = host.lower().strip("[]")
        for entry in self.no_proxy:
            if entry == "*" or name == entry.lstrip("*.") or name.endswith("." + entry.lstrip("*.")):
                return None
        return self.https_proxy


@functools.cache
def settings() -> Settings:
    """The settings of this process."""
    return read(os.environ)


def read(environment: Mapping[str, str]) -> Settings:
    """Settings from an environment; an empty variable counts as absent.

    Raises
    ------
    OperatorError
        When a variable holds what cannot be used.
    """
    given = {name: value.strip() for name, value in environment.items() if value.strip()}
    ca_file = given.get("ATOLL_CA") or given.get("SSL_CERT_FILE")
    excepted = given.get("NO_PROXY") or given.get("no_proxy") or ""
    return Settings(
        home=_home(given),
        language=_language(given),
        language_chosen="ATOLL_LANGUAGE" in given,
        https_proxy=_proxy(given.get("HTTPS_PROXY") or given.get("https_proxy")),
        no_proxy=tuple(host.strip().lower() for host in excepted.split(",") if host.strip()),
        ca_file=Path(ca_file) if ca_file else None,
        threads=_threads(given.get("ATOLL_THREADS")),
        ci=given.get("CI", "false").lower() not in ("false", "0", "no"),
        color="NO_COLOR" not in given,
        source_password=environment.get("ATOLL_SOURCE_PASSWORD") or None,
    )


def _home(given: Mapping[str, str]) -> Path:
    home = Path(given.get("ATOLL_HOME", "~/.atoll"))
    try:
        home = home.expanduser()
    except RuntimeError as error:
        raise OperatorError("This user has no home folder.", "Set ATOLL_HOME to a folder for Atoll.") from error
    if not home.is_absolute():
        raise OperatorError(
            f"ATOLL_HOME is {str(home)!r}, which depends on the folder you are in.", "Give it from / on."
        )
    return home


def _language(given: Mapping[str, str]) -> Language:
    chosen = given.get("ATOLL_LANGUAGE")
    if chosen is None:
        locale = given.get("LC_ALL") or given.get("LC_MESSAGES") or given.get("LANG") or ""
        return "zh" if locale.lower().startswith("zh") else "en"
    for language in get_args(Language):
        if chosen == language:
            return language  # type: ignore[no-any-return]
    raise OperatorError(f"ATOLL_LANGUAGE is {chosen!r}.", "Set it to en or zh.")


def _proxy(address: str | None) -> str | None:
    if address is None:
        return None
    parts = urlsplit(address if "//" in address else f"http://{address}")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise OperatorError("HTTPS_PROXY is not an address of a proxy.", "Write it as http://proxy.example:3128.")
    return parts.geturl()


def _threads(number: str | None) -> int:
    if number is None:
        return os.cpu_count() or 1
    if not number.isascii() or not number.isdigit() or not 1 <= int(number) <= 1024:
        raise OperatorError(f"ATOLL_THREADS is {number!r}.", "Set it to a whole number from 1 to 1024.")
    return int(number)
