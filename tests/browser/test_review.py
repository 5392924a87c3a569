"""The page of `atoll terms review`, as two reviewers use it: by keyboard, each in a program of their own."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys

import pytest

from atoll.ingest.terminology import Matcher, Name
from atoll.ingest.terms.concepts import read_concepts
from atoll.ingest.terms.features import closeness
from atoll.ingest.terms.files import write_suggestions
from atoll.ingest.terms.text import table
from tests.browser.conftest import Watched
from tests.browser.test_pages import NAMELESS, WORDS

CONCEPTS = """concept_id,concept_name
1,Glucose [Mass/volume] in Serum or Plasma
2,Glucose [Mass/volume] in Urine by Test strip
3,Alanine aminotransferase [Enzymatic activity/volume] in Serum or Plasma
4,Leukocytes [#/volume] in Blood by Automated count
5,Lymphocytes/100 leukocytes in Blood
6,Glucose [Presence] in Cerebral spinal fluid
"""
NAMES = [
    {"name": "谷丙转氨酶", "fluid": "血清", "unit": "U/L", "category": "生化", "domain": "", "sample_values": "32"},
    {"name": "葡萄糖", "fluid": "尿", "unit": "", "category": "", "domain": "", "sample_values": "阴性"},
    {"name": "白细胞计数", "fluid": "", "unit": "10^9/L", "category": "血常规", "domain": "", "sample_values": ""},
    {"name": "院内自编项目", "fluid": "", "unit": "", "category": "", "domain": "", "sample_values": ""},
]


class Reviewer:
    """`atoll terms review … --page` in a program of its own, and a browser on its page."""

    def __init__(self, chromium, folder, who, language="en-GB", both=True):
        words = ["terms", "review", "suggested.csv", "--journal", "journal.jsonl", "--names", "names.csv", "--concepts",
                 "concepts.csv", "--reviewer", who, "--page", *(["--both"] if both else [])]  # fmt: skip
        self.program = subprocess.Popen(
            [sys.executable, "-u", "-m", "atoll", *words],
            cwd=folder,
            stdout=subprocess.PIPE,
            text=True,
            env={name: value for name, value in os.environ.items() if name != "ATOLL_LANGUAGE"},  # the browser's holds
        )
        address = re.search(r"http://127\.0\.0\.1:\d+/[\w-]+/", self.program.stdout.readline())
        self.watched = Watched(chromium, address.group(), language=language)
        self.page = self.watched.page
        self.open(address.group())

    def open(self, address):
        """The page, and what it first asks for."""
        self.page.goto(address)
        self.page.wait_for_function("() => document.title !== '' && document.getElementById('who').textContent !== ''")

    def press(self, *keys):
        """Keys one after another, each when the page has answered the one before."""
        for key in keys:
            before = self.page.locator("#numbers").inner_text(), self.name
            self.page.keyboard.press(key)
            self.page.wait_for_function(
                "([numbers, name]) => document.getElementById('numbers').textContent !== numbers"
                " || document.getElementById('name').textContent !== name",
                arg=list(before),
            )

    @property
    def name(self):
        return self.page.locator("#name").inner_text()

    def end(self):
        """Ctrl-C, and what the program says last."""
        self.watched.close()
        self.program.send_signal(signal.SIGINT)
        said, _ = self.program.communicate(timeout=20)
        return said.strip().splitlines()[-1]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "concepts.csv").write_text(CONCEPTS, "utf-8")
    with (tmp_path / "names.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(NAMES[0]))
        writer.writeheader()
        writer.writerows(NAMES)
    asked = [Name(**name) for name in NAMES]
    write_suggestions(
        tmp_path / "suggested.csv", asked, Matcher(read_concepts(tmp_path / "concepts.csv")).suggest(asked)
    )
    return tmp_path


@pytest.fixture
def review(chromium, folder):
    """Opens a reviewer's program and page; whatever a test leaves of them is ended."""
    opened = []

    def start(who, **options):
        opened.append(Reviewer(chromium, folder, who, **options))
        return opened[-1]

    yield start
    for one in opened:
        one.watched.context.close()
        one.program.kill()
        one.program.wait()
        one.program.stdout.close()


def journal(folder):
    return [json.loads(line) for line in (folder / "journal.jsonl").read_text("utf-8").splitlines()]


def test_two_reviewers_by_keyboard(review, folder):
    ana, bo = review("ana"), review("bo")
    assert ana.name == "谷丙转氨酶"
    ana.press("1", "s")
    assert ana.name == "白细胞计数"  # the second name waits
    ana.press("0", "u")  # nothing fits, and it is taken back
    assert [line.get("undoes", line.get("concept_id")) for line in journal(folder)] == [3, 0, 1]
    assert ana.name == "白细胞计数"  # what was undone, and not the one that waits
    ana.press("s")
    assert ana.name == "院内自编项目"
    bo.open(bo.page.url)
    assert bo.name == "谷丙转氨酶"  # what ana decided is not seen
    assert bo.page.locator("#numbers").inner_text() == "4 open, 0 of 4 settled, 0 disputed"
    bo.press("1")
    assert bo.page.locator("#numbers").inner_text() == "3 open, 1 of 4 settled, 0 disputed"
    bo.press("0")
    ana.press("s")  # the last: those that waited come again
    assert ana.name == "葡萄糖"
    ana.press("1")
    assert ana.page.locator("#numbers").inner_text() == "2 open, 1 of 4 settled, 1 disputed"
    assert ana.page.evaluate(NAMELESS) == []
    for one in (ana, bo):
        assert re.fullmatch(r"1 of 4 settled, 2 open for \w+, 1 disputed\.", one.end())


def test_a_concept_is_typed_and_a_key_held_down_decides_once(review, folder):
    one = review("ana", both=False)
    one.page.keyboard.press("t")
    one.page.keyboard.type("5")
    one.page.keyboard.press("Escape")  # not meant
    assert one.name == "谷丙转氨酶"
    one.page.keyboard.press("t")
    one.page.keyboard.type("2146000001")
    one.page.keyboard.press("Enter")
    one.page.wait_for_function("() => document.getElementById('message').textContent !== ''")
    assert "Concept 2146000001 is in none of the files" in one.page.locator("#message").inner_text()
    one.watched.complaints.clear()  # Chromium itself says that it was refused
    one.page.keyboard.press("t")
    one.page.keyboard.type("5")
    one.press("Enter")
    assert [(line["concept_id"], line["source"]) for line in journal(folder)] == [(5, "typed")]
    one.press("u")
    one.page.keyboard.down("1")
    one.page.wait_for_function("() => document.getElementById('name').textContent === '葡萄糖'")
    one.page.keyboard.down("1")  # it repeats while it is held
    one.page.keyboard.up("1")
    one.press("0")
    assert [line.get("concept_id") for line in journal(folder)] == [5, None, 3, 0]
    assert one.end() == "2 of 4 settled, 2 open for ana, 0 disputed."


def test_a_chinese_page_holds_no_english_word(review):
    one = review("wang", language="zh-CN")
    assert one.page.evaluate("document.documentElement.lang") == "zh-Hans"
    seen = ""
    for _ in NAMES:
        seen += _chinese(one.page)
        one.press("0")
    seen += _chinese(one.page)
    for said in ("待审核的术语", "词全部相同", "标本相同：", "相符", "没有候选", "全部已决定", "单位"):
        assert said in seen, said
    one.press("u")
    one.program.send_signal(signal.SIGINT)  # the program ends under the page
    one.program.wait(timeout=20)
    one.page.keyboard.press("0")
    one.page.wait_for_function("() => document.getElementById('message').textContent !== ''")
    assert "程序没有回应" in _chinese(one.page)
    one.watched.complaints.clear()  # Chromium itself says that nobody answers
    one.watched.close()


def _chinese(page):
    text = page.evaluate(WORDS)
    assert set(re.findall(r"[A-Za-z_]{2,}", text)) <= {"Esc"}, text
    return text


def test_every_word_of_a_reason_has_a_chinese_one(review):
    one = review("wang", language="zh-CN")
    specimens = {*table("systems.csv").values(), *(name for pair in closeness("kinship.csv") for name in pair)}
    kinds = {*table("properties.csv").values(), *(name for pair in closeness("unit_properties.csv") for name in pair)}
    assert specimens - set(one.page.evaluate("Object.keys(SPECIMENS)")) == set()
    assert kinds - set(one.page.evaluate("Object.keys(PROPERTIES)")) == set()
    reason = (
        "decided so before; shared words: x; specimen csf is close to fluid; another specimen: urine;"
        " mass hardly fits moles; method words"
    )
    told = one.page.evaluate("(reason) => reasonParts(reason, 'zh').map(String).join('')", reason)
    assert told.split("；") == [
        "以前这样决定过", "共有的词：x", "标本脑脊液与体液相近", "标本不同：尿液", "质量浓度与物质的量浓度不太相符",
        "有表示方法的词",
    ]  # fmt: skip
    one.end()
