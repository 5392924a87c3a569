"""Sentences of the algorithms that a phenotype is diagnosed by, for `sentences`: what each does, what leaves."""

from __future__ import annotations

Pair = tuple[str, str]

ALGORITHMS: dict[str, Pair] = {
    "incidence": (
        "how often something begins, by sex, age and calendar year (incidence)",
        "按性别、年龄和日历年统计发生率（incidence）",
    ),
    "breakdown": ("how many persons have each word of a column (breakdown)", "统计某一列各取值的人数（breakdown）"),
    "overlap": ("how far two cohorts overlap (overlap)", "两个队列的重叠情况（overlap）"),
    "durations": ("how long times are, in days (durations)", "时间长短的分布，以天计（durations）"),
}

LEAVES: dict[str, Pair] = {
    "incidence": (
        "for everybody, each sex, each group of ages within a sex, and each calendar year: the number of persons with "
        "the event, and the time at risk of all in years. Neighbours are joined until enough persons have the event "
        "and enough have not; where too few have it, only that is told.",
        "对全体、各性别、各性别内的年龄组、各日历年：发生事件的人数，以及全部人的风险时间（以年计）。"
        "相邻的组会合并，直到发生与未发生事件的人数都足够；若发生者过少，则只说明这一点。",
    ),
    "incidence_by_site": (
        "this hospital's own rates: numbers of persons to the nearest multiple of the minimum, and time at risk.",
        "本院自己的发生率：人数取整为最低人数的倍数，以及风险时间。",
    ),
    "breakdown": (
        "the number of persons who have each word of the column. Words that too few have are told together, not one by "
        "one; where too few have any, only that is told.",
        "具有该列每个取值的人数。人数过少的取值合并统计，不单独给出；若具有任何取值的人过少，则只说明这一点。",
    ),
    "breakdown_by_site": (
        "this hospital's own numbers of persons for words that some hospital told, to the nearest multiple of the "
        "minimum.",
        "对已有医院给出的取值，本院自己的人数，取整为最低人数的倍数。",
    ),
    "overlap": (
        "the number of persons in either cohort, in each, in both, and in one alone. A part of fewer persons than the "
        "minimum, or of nobody, is not told, only two numbers between which it lies.",
        "属于任一队列、各队列、两个队列以及仅属于其中一个队列的人数。低于最低人数或无人的部分不给出，只给出其上下界。",
    ),
    "overlap_by_site": (
        "this hospital's own numbers of persons, to the nearest multiple of the minimum.",
        "本院自己的人数，取整为最低人数的倍数。",
    ),
    "durations": (
        "the number of persons with a time between neighbours of a fixed grid (30 days to 20 years); intervals of too "
        "few are joined.",
        "时间落在固定时间网格（30 天至 20 年）各区间内的人数；人数过少的区间会合并。",
    ),
    "durations_by_site": (
        "this hospital's own numbers of persons, to the nearest multiple of the minimum.",
        "本院自己的人数，取整为最低人数的倍数。",
    ),
}

OPTIONS: dict[str, Pair] = {
    "incidence.enters": ("the column with the first day at risk.", "风险期首日所在的列。"),
    "incidence.leaves": ("the column with the last day at risk.", "风险期末日所在的列。"),
    "incidence.born": ("the column with the year of birth.", "出生年份所在的列。"),
    "incidence.event": (
        "the column that says whether the event happened on the last day.",
        "标明末日是否发生事件的列。",
    ),
    "incidence.by": ("the column with the sex.", "性别所在的列。"),
    "incidence.since": ("the first calendar year.", "起始日历年。"),
    "incidence.until": ("the last calendar year.", "结束日历年。"),
    "incidence.by_site": ("whether each hospital's rates are also shown apart.", "是否另外单独显示各医院的发生率。"),
    "breakdown.column": ("the column whose words are counted.", "统计其取值的列。"),
    "breakdown.by_site": ("whether each hospital's numbers are also shown apart.", "是否另外单独显示各医院的人数。"),
    "overlap.first": ("the column that says who is in the first cohort.", "标明是否属于第一个队列的列。"),
    "overlap.second": ("the column that says who is in the second cohort.", "标明是否属于第二个队列的列。"),
    "overlap.by_site": ("whether each hospital's numbers are also shown apart.", "是否另外单独显示各医院的人数。"),
    "durations.columns": ("the columns with times, in days.", "以天计的时间所在的列。"),
    "durations.by_site": ("whether each hospital's times are also shown apart.", "是否另外单独显示各医院的时间。"),
}
