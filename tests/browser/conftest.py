"""Chromium, and a hub with every kind of page."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.world import Served

CHROMIUM = shutil.which("chromium")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test of this folder needs Chromium; without it, it is skipped and says so."""
    for item in items:
        if "tests/browser/" in item.path.as_posix():
            item.add_marker(pytest.mark.browser)
            if CHROMIUM is None:
                item.add_marker(pytest.mark.skip(reason="Chromium is not installed (apt-get install chromium)"))


@pytest.fixture(scope="package")
def chromium() -> Iterator[Any]:
    """One browser for these tests, gone with the last of them: its event loop would be in others' way."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A hub whose store holds everything."""
    served = Served(tmp_path_factory.mktemp("hub"))
    yield served
    served.close()


class Watched:
    """A browser page that remembers what must not happen."""

    def __init__(self, chromium: Any, url: str, width: int = 1280, language: str = "en-GB", scheme: str = "light"):
        self.url, self.complaints, self.foreign = url, [], []
        self.context = chromium.new_context(
            ignore_https_errors=True, viewport={"width": width, "height": 800}, locale=language, color_scheme=scheme
        )
        self.page = self.context.new_page()
        self.page.on("console", lambda m: self.complaints.append(m.text) if m.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda r: None if r.url.startswith((url, "data:")) else self.foreign.append(r.url))

    def login(self, token: str) -> None:
        """As a person does, by keyboard."""
        self.page.goto(self.url + "/login")
        self.page.fill("#access", token)
        self.page.press("#access", "Enter")
        self.page.wait_for_url(self.url + "/")

    def go(self, path: str) -> Any:
        """Open a page of the hub."""
        return self.page.goto(self.url + path)

    def close(self) -> None:
        """Nothing was complained about, and nobody else was asked for anything."""
        self.context.close()
        assert self.complaints == []
        assert self.foreign == []
