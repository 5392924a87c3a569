"""Chinese names of tests, drugs and diagnoses as English words, so that one matcher serves both languages.

A name is parted into as few entries as possible of three tables of our own (`words_zh_lab.csv`, `words_zh_drug.csv`,
`words_zh_condition.csv`), so that as little as possible stays unread. They were written from general knowledge of
Chinese hospital wording and of INN and LOINC names, and hold words, never concept ids. Of a diagnosis more than three
words stand in alphabetical order: which they are is what counts, and a vocabulary's own names are not ours.
tests/reference/README.md says which names they were judged by.

Latin parts (ALT, HbA1c, CA125) stay as they are. What stands in brackets is said beside: it is left out where it says
nothing that is known, and taken for the name where the name says nothing.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from dataclasses import dataclass
from functools import cache

from atoll.ingest.terms.text import HERE, meanings, split

TABLES = {"lab": "words_zh_lab.csv", "drug": "words_zh_drug.csv", "condition": "words_zh_condition.csv"}
CHINESE = re.compile(r"[\u4e00-\u9fff]")
DOSE = re.compile(
    r"\d+(?:\.\d+)?\s*(?:mg|g|ml|μg|ug|mcg|iu|u|万u|万单位|单位|毫克|微克|毫升|克|%)(?:[*×x/:]\S*)?(?![a-z])"
    r"|[*×x]?\s*\d+\s*[片粒支瓶袋丸枚贴揿喷吸](?:\s*/?\s*[盒瓶袋板])?(?:[*×x]\S*)?",
    re.IGNORECASE,
)
DOMAINS = {"lab": "Measurement", "drug": "Drug", "condition": "Condition"}
SPOKEN = DOMAINS | {"procedure": "Procedure"}  # which has no table of its own: its words are those of conditions
NAMING = frozenset(DOMAINS)  # kinds of words that alone name something
ASIDE = re.compile(r"[(\[{<【〔《]([^()\[\]{}<>【】〔〕《》]*)[)\]}>】〕》]")
ENDINGS = {  # what a Chinese name ends with is what it names
    "condition": re.compile(r"(病|症|炎|癌|瘤|疮|疹|疣|痫|痴呆|中风|瘫|昏迷|综合[征症]|中毒|畸形|骨折|脱位|感染|出血|"
                            r"损伤|梗死|梗塞|血栓|栓塞|衰竭|不全|障碍|狭窄|囊肿|结石|溃疡|息肉|脓肿|结节|增生|肥大|疼痛|水肿)$"),
    "procedure": re.compile(r"(术|移植|透析|置换|植入|置入|造影|镜检查|镜下治疗|放疗|化疗|灌注|活检)$"),
    "lab": re.compile(r"(试验|实验|测定|检测|检查|检验|抗体|抗原|核酸|dna|rna|浓度|活性|活度|计数|比值|比率|定量|定性|"
                      r"培养|指数|时间|率|igg|igm|ige|iga|滴度|载量|数量|百分比|评分|分型)$"),
}  # fmt: skip
UNSEEN, SHORT = 4, 1.5  # the price of a character that is not read, and of an entry of one character, in entries
UNREAD = "unread"  # stands for Chinese characters that no table knows, so that they count as words not found


@dataclass(frozen=True)
class Chinese:
    """A Chinese name in English words; the specimen it names; the domain that its words speak for, or empty."""

    english: str
    system: str
    domain: str


def is_chinese(text: str) -> bool:
    """Whether a text holds Chinese characters."""
    return bool(CHINESE.search(text))


@cache
def words() -> dict[str, tuple[tuple[str, str, str], ...]]:
    """Written form → its meanings: (words, kind, table)."""
    found: dict[str, list[tuple[str, str, str]]] = {}
    for table, name in TABLES.items():
        with (HERE / name).open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                written = plain(row["written"])
                meaning = (row["means"], row["kind"], table)
                if written and meaning not in found.setdefault(written, []):
                    found[written].append(meaning)
    return {written: tuple(meanings) for written, meanings in found.items()}


@cache
def longest() -> int:
    """Characters of the longest entry."""
    return max(map(len, words()))


def plain(text: str) -> str:
    """Half-width forms, lower case, without spaces between Chinese characters."""
    text = unicodedata.normalize("NFKC", text).lower().replace("－", "-").replace("—", "-")
    return re.sub(r"(?<=[\u4e00-\u9fff])\s+(?=[\u4e00-\u9fff])", "", text)


Part = str | tuple[tuple[str, str, str], ...]  # a Latin word or UNREAD, or the meanings of an entry


def translate(text: str, domain: str = "") -> Chinese:
    """Read a Chinese name. `domain` (Measurement, Drug, Condition), where it is known, decides between two meanings."""
    rest = plain(text)
    if domain == "Drug" or not domain:
        rest = DOSE.sub(" ", rest) if CHINESE.search(rest) else rest
    head, asides = ASIDE.sub(" ", rest).strip(), ASIDE.findall(rest)
    parts = _parts(head)
    spoken = domain or _spoken(parts, head) or next(filter(None, (_spoken(_parts(a), a) for a in asides)), "")
    preferred = next((table for table, name in DOMAINS.items() if name == spoken), "condition")
    english, system = [], ""
    for part in _with_asides(parts, [_parts(aside) for aside in asides if not aside.endswith("法")]):
        if isinstance(part, str):
            english.append(part)
            continue
        meaning, kind, _ = next((m for m in part if m[2] == preferred), part[0])
        if kind in ("form", "salt") and spoken == "Drug":
            continue
        for word in meaning.split():
            if word.startswith("@"):
                system = system or word[1:]
            else:
                english.append(word)
    return Chinese(" ".join(english), system, spoken)


def _with_asides(head: list[Part], asides: list[list[Part]]) -> list[Part]:
    """The parts of a name with those of its brackets that say something; a bracket alone where the name is not read."""
    if not asides:
        return head
    if UNREAD in head or not any(_names(part) for part in head):
        for aside in asides:
            if UNREAD not in aside and any(_names(part) for part in aside):
                return aside if UNREAD in head else [*head, *aside]
        return [*head, *(part for aside in asides for part in aside)]
    return [*head, *(part for aside in asides for part in aside if part != UNREAD and _known(part))]


def _names(part: Part) -> bool:
    return not isinstance(part, str) and any(kind in NAMING for _, kind, _ in part)


def _known(part: Part) -> bool:
    """Whether a part is an entry, or Latin that the English tables know."""
    return not isinstance(part, str) or any(tuple([word]) in meanings() for word in split(part))


def _parts(text: str) -> list[Part]:
    """The text in as few pieces as possible: meanings where a table knows them, else Latin words as they are, else
    `UNREAD`. Of two ways alike the one with the longer first piece."""
    table = words()
    best: list[tuple[float, int]] = [(0.0, 0)] * (len(text) + 1)  # from here on: price, length of the first piece
    for at in range(len(text) - 1, -1, -1):
        fitting = [n for n in range(min(longest(), len(text) - at), 0, -1) if _fits(text, at, n, table)]
        ways = [((SHORT if n == 1 else 1.0) + best[at + n][0], -n) for n in fitting]
        if CHINESE.match(text[at]):
            ways.append((UNSEEN + best[at + 1][0], -1))
        elif not fitting:
            end = _latin_end(text, at, table)
            ways.append((1.0 + best[end][0], at - end))
        price, length = min(ways)
        best[at] = price, -length
    found, at = list[Part](), 0
    while at < len(text):
        piece = text[at : at + best[at][1]]
        found.append(table.get(piece) or (UNREAD if CHINESE.match(piece) else piece))
        at += len(piece)
    return _without_fragments(found, text, best)


def _without_fragments(found: list[Part], text: str, best: list[tuple[float, int]]) -> list[Part]:
    """A name of one character beside others that are not read is a part of another word, and not read either."""
    lengths, at = [], 0
    while at < len(text):
        lengths.append(best[at][1])
        at += best[at][1]
    return [
        UNREAD if length == 1 and _names(part) and UNREAD in (before, after) else part
        for part, length, before, after in zip(found, lengths, ["", *found], [*found[1:], ""], strict=False)
    ]


def _latin_end(text: str, at: int, table: dict[str, tuple[tuple[str, str, str], ...]]) -> int:
    end = at + 1
    while end < len(text) and not CHINESE.match(text[end]) and not _starts(text, end, table):
        end += 1
    return end


def _fits(text: str, at: int, n: int, table: dict[str, tuple[tuple[str, str, str], ...]]) -> bool:
    """Whether an entry stands here, and does not cut a Latin word in two."""
    piece = text[at : at + n]
    if piece not in table:
        return False
    before, after = text[at - 1 : at], text[at + n : at + n + 1]
    cuts_left = piece[0].isascii() and piece[0].isalnum() and before.isascii() and before.isalnum()
    cuts_right = piece[-1].isascii() and piece[-1].isalnum() and after.isascii() and after.isalnum()
    return not (cuts_left or cuts_right)


def _starts(text: str, at: int, table: dict[str, tuple[tuple[str, str, str], ...]]) -> bool:
    return any(_fits(text, at, n, table) for n in range(min(longest(), len(text) - at), 1, -1))


def _spoken(parts: list[Part], text: str) -> str:
    """The domain that most of the words speak for, and what the name ends with: drug forms for drugs, a disease's name
    for conditions."""
    said: dict[str, int] = {table: 3 for table, ending in ENDINGS.items() if ending.search(text)}
    for part in parts:
        if isinstance(part, str):
            continue
        for _, kind, table in part:
            if kind in NAMING:
                said[table] = said.get(table, 0) + 2
            elif kind in ("form", "fluid", "property"):
                said[table] = said.get(table, 0) + 1
    if not said:
        return ""
    return SPOKEN[max(said, key=lambda table: said[table])]
