"""The sentences of the check list, in English and Simplified Chinese: how grave each is, what is wrong and what to do.

`{0}`, `{1}` … are the values of a `Fault`; a value that is a sentence's part itself is a pair.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

Level = Literal["error", "warning", "note"]
Pair = tuple[str, str]
MAX_RULES = 62  # bits of a whole number of 64, in which a run keeps them
_NOTHING: Pair = ("", "")
_BOUND: Pair = ("Give its upper bound as Extent.", "请以 Extent 给出上界。")
_EXCHANGE: Pair = ("Exchange the bounds.", "请交换上下界。")


class Sentence(NamedTuple):
    """How grave, what is wrong, and what to do."""

    level: Level
    what: Pair
    remedy: Pair = _NOTHING


SENTENCES: dict[str, Sentence] = {
    "key unknown": Sentence(
        "warning", ("is a key that Circe does not know; it is ignored.", "不是 Circe 认识的键，将被忽略。")
    ),
    "set missing": Sentence(
        "error",
        ("uses concept set {0}, which the definition does not hold.", "使用概念集 {0}，但定义中没有该概念集。"),
        ("Add the set.", "请补上该概念集。"),
    ),
    "set twice": Sentence(
        "warning",
        ("holds two sets with one id; their concepts are joined.", "有两个概念集使用同一编号，其概念被合并。"),
        ("Number them anew.", "请重新编号。"),
    ),
    "set unused": Sentence("note", ("({0}) is not used.", "（{0}）没有被使用。")),
    "set empty": Sentence(
        "warning",
        ("({0}) is empty, so no row fits it.", "（{0}）为空，没有任何记录符合。"),
        ("Add concepts.", "请加入概念。"),
    ),
    "set excludes": Sentence(
        "warning",
        ("({0}) only excludes, so it is empty.", "（{0}）只有排除项，因此为空。"),
        ("Include concepts first.", "请先加入要包含的概念。"),
    ),
    "nobody enters": Sentence(
        "error",
        ("holds no criterion, so nobody enters.", "没有条件，因此无人入组。"),
        ("Add an initial event.", "请加入初始事件。"),
    ),
    "many rules": Sentence(
        "error",
        ("holds {0} rules.", "有 {0} 条规则。"),
        (f"Join some, so that there are {MAX_RULES} at most.", f"请合并一些，最多 {MAX_RULES} 条。"),
    ),
    "nobody left": Sentence(
        "error",
        ("ends before it starts, so nobody is left.", "结束早于开始，因此无人留下。"),
        ("Correct its dates.", "请更正日期。"),
    ),
    "negative": Sentence("error", ("is negative.", "为负数。"), ("Give 0 days or more.", "请填 0 天或更多。")),
    "no extent": Sentence("error", ("is 'between' (bt) without an Extent.", "为“介于”（bt）但没有 Extent。"), _BOUND),
    "negative age": Sentence(
        "error",
        ("is a negative age ({0}).", "为负的年龄（{0}）。"),
        ("Give years, 0 or more.", "请填岁数，0 或更大。"),
    ),
    "no number": Sentence(
        "warning", ("is between {0} and {1}: nothing is.", "介于 {0} 与 {1} 之间：没有任何数值符合。"), _EXCHANGE
    ),
    "no day": Sentence(
        "warning", ("is between {0} and {1}: no day is.", "介于 {0} 与 {1} 之间：没有任何日期符合。"), _EXCHANGE
    ),
    "no date": Sentence(
        "error",
        ("is {0!r}, which is no date.", "为 {0!r}，不是日期。"),
        ("Write it as 2020-02-29.", "请写成 2020-02-29。"),
    ),
    "no type": Sentence(
        "error",
        ("is a group without a Type.", "组没有 Type。"),
        ("Give ALL, ANY, AT_LEAST or AT_MOST.", "请填 ALL、ANY、AT_LEAST 或 AT_MOST。"),
    ),
    "no count": Sentence(
        "error", ("is a group {0} without a Count.", "组 {0} 没有 Count。"), ("Give its Count.", "请填 Count。")
    ),
    "never holds": Sentence(
        "warning",
        ("asks for {0} of {1} members: it never holds.", "要求 {1} 个成员中有 {0} 个成立：永不成立。"),
        ("Lower Count.", "请减小 Count。"),
    ),
    "always holds": Sentence(
        "warning", ("is {0} {1} of {2} members: it always holds.", "为 {0} {1}（共 {2} 个成员）：总是成立。")
    ),
    "coeff": Sentence(
        "error",
        ("has the Coeff {0}.", "的 Coeff 为 {0}。"),
        ("Give −1 (before) or 1 (after).", "请填 −1（之前）或 1（之后）。"),
    ),
    "days": Sentence(
        "error",
        ("has {0} days.", "为 {0} 天。"),
        ("Give 0 or more, and Coeff −1 for before.", "请填 0 或更多；“之前”用 Coeff −1。"),
    ),
    "starts late": Sentence(
        "error",
        ("starts after its end (day {0} to day {1}).", "开始晚于结束（第 {0} 天至第 {1} 天）。"),
        ("Exchange its Start and End.", "请交换 Start 与 End。"),
    ),
    "starts at the end": Sentence(
        "error",
        ("starts at the end of observation and ends at its start.", "从观察结束开始，到观察开始结束。"),
        ("Exchange Start and End.", "请交换 Start 与 End。"),
    ),
    "occurrence type": Sentence(
        "error",
        ("has the Type {0}.", "的 Type 为 {0}。"),
        ("Give 0 (exactly), 1 (at most) or 2 (at least).", "请填 0（恰好）、1（至多）或 2（至少）。"),
    ),
    "occurrence count": Sentence(
        "error", ("has the Count {0}.", "的 Count 为 {0}。"), ("Give 0 or more.", "请填 0 或更多。")
    ),
    "at least nought": Sentence(
        "warning",
        ("asks for at least 0: it always holds.", "要求至少 0 次：总是成立。"),
        ("Give 1, or leave the criterion out.", "请填 1，或去掉该条件。"),
    ),
    "future": Sentence(
        "note",
        ("looks at all the future of the index event.", "查看索引事件之后的全部未来。"),
        ("Is that meant?", "是有意如此吗？"),
    ),
    "empty future": Sentence(
        "note",
        (
            "looks at all the future of the index event, and asks that nothing comes.",
            "查看索引事件之后的全部未来，并要求什么都不出现。",
        ),
        ("Is that meant?", "是有意如此吗？"),
    ),
    "short history": Sentence(
        "note",
        (
            "asks for nothing in {0} days before, but only {1} days of history are demanded.",
            "要求之前 {0} 天内没有记录，但只要求 {1} 天的既往观察。",
        ),
        ("Raise PriorDays, if new cases are meant.", "若指新发病例，请加大 PriorDays。"),
    ),
    "locations": Sentence(
        "error",
        (
            "needs the history of locations of CDM 6, which was never in use.",
            "需要 CDM 6 的地点历史，而 CDM 6 从未启用。",
        ),
        ("Leave it out.", "请去掉。"),
    ),
    "era of nothing": Sentence(
        "error",
        ("holds no criterion.", "没有条件。"),
        ("Give the criteria whose events make the era.", "请给出构成时期的条件。"),
    ),
    "differs": Sentence(
        "note",
        (
            "uses {0} ({1}), where circe-be 1.12.1 differs; Atoll does what is written.",
            "使用 {0}（{1}），circe-be 1.12.1 的做法与此不同；Atoll 按所写的执行。",
        ),
    ),
}
DEFECTS: dict[str, Pair] = {  # what circe-be 1.12.1 does in the place of what is written
    "start date": ("circe filters the start date", "circe 过滤的是开始日期"),
    "gender": ("circe compares the gender", "circe 比较的是性别"),
    "era length": ("circe uses the range of EraLength", "circe 使用 EraLength 的范围"),
    "fails": ("circe fails without ValueAsConcept", "没有 ValueAsConcept 时 circe 会出错"),
    "overlap": ("circe merges only what overlaps", "circe 只合并重叠的部分"),
    "ignores them": ("circe ignores them", "circe 将其忽略"),
    "ignores it": ("circe ignores it", "circe 将其忽略"),
    "end age": (
        "circe takes the age at the end of the visit detail",
        "circe 取就诊明细结束时的年龄",
    ),
    "ignores both": ("circe ignores StartWith and EndWith", "circe 忽略 StartWith 与 EndWith"),
}


@dataclass(frozen=True)
class Fault:
    """One entry of the check list: which of `SENTENCES`, where, and its values."""

    key: str
    place: str
    values: tuple[object, ...] = ()

    @property
    def level(self) -> Level:
        """How grave it is."""
        return SENTENCES[self.key].level

    @property
    def what(self) -> str:
        """What is wrong, in English."""
        return self.said(0)[0]

    @property
    def remedy(self) -> str:
        """What to do, in English; empty where there is nothing."""
        return self.said(0)[1]

    def said(self, language: int) -> Pair:
        """What is wrong and what to do; `language` is 0 for English, 1 for Chinese."""
        sentence = SENTENCES[self.key]
        values = [value[language] if isinstance(value, tuple) else value for value in self.values]
        return sentence.what[language].format(*values), sentence.remedy[language]

    def whole(self, language: int) -> str:
        """The entry as one line, with its place."""
        what, remedy = self.said(language)
        if language:
            return f"{self.place or '该定义'} {what}{remedy}"
        return f"{self.place or 'The definition'} {what} {remedy}".strip()

    def document(self) -> dict[str, str]:
        """Plain JSON types, in English."""
        return {"level": self.level, "place": self.place, "what": self.what, "remedy": self.remedy}

    def __str__(self) -> str:
        return self.whole(0)
