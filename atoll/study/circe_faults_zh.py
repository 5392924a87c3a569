"""The check list of a definition in Simplified Chinese: one pattern a sentence, with the same places."""

from __future__ import annotations

import re

from atoll.study.circe_check import MAX_RULES

_X = r"(.+?)"
WHATS: tuple[tuple[str, str], ...] = (
    (r"is a key that Circe does not know; it is ignored\.", "不是 Circe 认识的键，将被忽略。"),
    (rf"uses concept set {_X}, which the definition does not hold\.", "使用概念集 {0}，但定义中没有该概念集。"),
    (r"holds two sets with one id; their concepts are joined\.", "有两个概念集使用同一编号，其概念被合并。"),
    (rf"\({_X}\) is not used\.", "（{0}）没有被使用。"),
    (rf"\({_X}\) is empty, so no row fits it\.", "（{0}）为空，没有任何记录符合。"),
    (rf"\({_X}\) only excludes, so it is empty\.", "（{0}）只有排除项，因此为空。"),
    (r"holds no criterion, so nobody enters\.", "没有条件，因此无人入组。"),
    (rf"holds {_X} rules\.", "有 {0} 条规则。"),
    (r"ends before it starts, so nobody is left\.", "结束早于开始，因此无人留下。"),
    (r"is negative\.", "为负数。"),
    (r"is 'between' \(bt\) without an Extent\.", "为“介于”（bt）但没有 Extent。"),
    (rf"is a negative age \({_X}\)\.", "为负的年龄（{0}）。"),
    (rf"is between {_X} and {_X}: nothing is\.", "介于 {0} 与 {1} 之间：没有任何数值符合。"),
    (rf"is between {_X} and {_X}: no day is\.", "介于 {0} 与 {1} 之间：没有任何日期符合。"),
    (r"is a group without a Type\.", "组没有 Type。"),
    (rf"is a group {_X} without a Count\.", "组 {0} 没有 Count。"),
    (rf"asks for {_X} of {_X} members: it never holds\.", "要求 {1} 个成员中有 {0} 个成立：永不成立。"),
    (rf"is {_X} {_X} of {_X} members: it always holds\.", "为 {0} {1}（共 {2} 个成员）：总是成立。"),
    (rf"has the Coeff {_X}\.", "的 Coeff 为 {0}。"),
    (rf"has {_X} days\.", "为 {0} 天。"),
    (rf"starts after its end \(day {_X} to day {_X}\)\.", "开始晚于结束（第 {0} 天至第 {1} 天）。"),
    (r"starts at the end of observation and ends at its start\.", "从观察结束开始，到观察开始结束。"),
    (rf"has the Type {_X}\.", "的 Type 为 {0}。"),
    (rf"has the Count {_X}\.", "的 Count 为 {0}。"),
    (r"asks for at least 0: it always holds\.", "要求至少 0 次：总是成立。"),
    (r"looks at all the future of the index event\.", "查看索引事件之后的全部未来。"),
    (r"looks at all the future of the index event, and asks that nothing comes\.",
     "查看索引事件之后的全部未来，并要求什么都不出现。"),
    (rf"asks for nothing in {_X} days before, but only {_X} days of history are demanded\.",
     "要求之前 {0} 天内没有记录，但只要求 {1} 天的既往观察。"),
    (r"needs the history of locations of CDM 6, which was never in use\.",
     "需要 CDM 6 的地点历史，而 CDM 6 从未启用。"),
    (r"holds no criterion\.", "没有条件。"),
    (rf"uses {_X}, where circe-be 1\.12\.1 differs; Atoll does what is written\.",
     "使用 {0}，circe-be 1.12.1 的做法与此不同；Atoll 按所写的执行。"),
    (rf"{_X} is {_X}, which is no date\.", "{0} 为 {1}，不是日期。"),
)  # fmt: skip
REMEDIES: dict[str, str] = {
    "Add the set.": "请补上该概念集。",
    "Number them anew.": "请重新编号。",
    "Add concepts.": "请加入概念。",
    "Include concepts first.": "请先加入要包含的概念。",
    "Add an initial event.": "请加入初始事件。",
    f"Join some, so that there are {MAX_RULES} at most.": f"请合并一些，最多 {MAX_RULES} 条。",
    "Correct its dates.": "请更正日期。",
    "Give 0 days or more.": "请填 0 天或更多。",
    "Give its upper bound as Extent.": "请以 Extent 给出上界。",
    "Give years, 0 or more.": "请填岁数，0 或更大。",
    "Exchange the bounds.": "请交换上下界。",
    "Give ALL, ANY, AT_LEAST or AT_MOST.": "请填 ALL、ANY、AT_LEAST 或 AT_MOST。",
    "Give its Count.": "请填 Count。",
    "Lower Count.": "请减小 Count。",
    "Give −1 (before) or 1 (after).": "请填 −1（之前）或 1（之后）。",
    "Give 0 or more, and Coeff −1 for before.": "请填 0 或更多；“之前”用 Coeff −1。",
    "Exchange its Start and End.": "请交换 Start 与 End。",
    "Exchange Start and End.": "请交换 Start 与 End。",
    "Give 0 (exactly), 1 (at most) or 2 (at least).": "请填 0（恰好）、1（至多）或 2（至少）。",
    "Give 0 or more.": "请填 0 或更多。",
    "Give 1, or leave the criterion out.": "请填 1，或去掉该条件。",
    "Is that meant?": "是有意如此吗？",
    "Raise PriorDays, if new cases are meant.": "若指新发病例，请加大 PriorDays。",
    "Leave it out.": "请去掉。",
    "Write it as 2020-02-29.": "请写成 2020-02-29。",
    "Give the criteria whose events make the era.": "请给出构成时期的条件。",
}
DEFECTS: dict[str, str] = {
    "circe filters the start date": "circe 过滤的是开始日期",
    "circe compares the gender": "circe 比较的是性别",
    "circe uses the range of EraLength": "circe 使用 EraLength 的范围",
    "circe fails without ValueAsConcept": "没有 ValueAsConcept 时 circe 会出错",
    "circe merges only what overlaps": "circe 只合并重叠的部分",
    "circe ignores them": "circe 将其忽略",
    "circe ignores it": "circe 将其忽略",
    "circe takes the age at the end of the visit detail": "circe 取就诊明细结束时的年龄",
    "circe ignores StartWith and EndWith": "circe 忽略 StartWith 与 EndWith",
}


def in_chinese(place: str, what: str, remedy: str) -> str:
    """One entry of the check list; a sentence that is not known here stays as it is (a test holds that none is)."""
    said = next(filter(None, (_match(pattern, chinese, what) for pattern, chinese in WHATS)), what)
    for english, chinese in DEFECTS.items():
        said = said.replace(english, chinese)
    return f"{place or '该定义'} {said}{REMEDIES.get(remedy, remedy)}"


def _match(pattern: str, chinese: str, what: str) -> str:
    found = re.fullmatch(pattern, what)
    return chinese.format(*found.groups()) if found else ""
