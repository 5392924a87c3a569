"""Features and outcomes in plain words, English and Simplified Chinese, for whoever approves a study."""

from __future__ import annotations

from collections.abc import Iterator

from atoll.study.features import SCORE, Concepts, Feature, Features, Outcome
from atoll.study.score import score

Pair = tuple[str, str]

_DOMAINS: dict[str, Pair] = {
    "condition": ("diagnoses", "诊断"),
    "condition_era": ("periods of a diagnosis", "诊断时期"),
    "drug": ("drugs given", "用药"),
    "drug_era": ("periods on a drug", "用药时期"),
    "procedure": ("procedures", "操作与手术"),
    "device": ("devices", "器械"),
    "measurement": ("test results", "检验检查"),
    "observation": ("observations", "观察"),
    "visit": ("visits", "就诊"),
}
_PERSON: dict[str, Pair] = {
    "age": ("age in years", "年龄（岁）"),
    "sex": ("sex", "性别"),
    "year": ("the year of the index date", "索引日期的年份"),
    "observed": ("days observed before the index date", "索引日期之前的观察天数"),
    "followed": ("days observed after the index date", "索引日期之后的观察天数"),
}
_SAYS: dict[str, Pair] = {
    "any": ("whether there are {of}", "是否有{of}"),
    "count": ("the number of {of}", "{of}的次数"),
    "days": ("the number of days with {of}", "有{of}的天数"),
    "since": ("days since the last of {of}", "距最近一次{of}的天数"),
    "last": ("the last value of {of}", "{of}的最近一次数值"),
    "first": ("the first value of {of}", "{of}的首次数值"),
    "mean": ("the mean of {of}", "{of}的平均值"),
    "min": ("the lowest value of {of}", "{of}的最低值"),
    "max": ("the highest value of {of}", "{of}的最高值"),
    "slope": ("the change a day of {of}", "{of}每日的变化"),
    "high": ("whether a value of {of} was above the laboratory's range", "{of}是否曾高于参考范围"),
    "low": ("whether a value of {of} was below the laboratory's range", "{of}是否曾低于参考范围"),
}
_PARTS: dict[str, Pair] = {
    "concepts": ("{domain} of “{name}” ({ids})", "“{name}”的{domain}（{ids}）"),
    "every": ("any {domain}", "任何{domain}"),
    "ids": ("concepts {include}", "概念 {include}"),
    "descendants": ("with what lies below them", "及其下位概念"),
    "without": ("without {exclude}", "不含 {exclude}"),
    "ever": ("at any time up to {last}", "截至{last}的任何时间"),
    "window": ("from {first} to {last}", "从{first}到{last}"),
    "before": ("{days} days before the index date", "索引日期前 {days} 天"),
    "after": ("{days} days after the index date", "索引日期后 {days} 天"),
    "on": ("the index date", "索引日期当天"),
    "unit": ("in {unit}", "单位 {unit}"),
    "range": ("values from {low} to {high} only", "只取 {low} 至 {high} 之间的数值"),
    "otherwise": ("{value} where there is none, with a second column that says so",
                  "缺失时以 {value} 代替，并另设一列注明"),
    "outcome": ("outcome {name}: the first of {of}, {window}; follow-up ends with observation or death",
                "结局 {name}：{window}首次出现{of}；随访止于观察结束或死亡"),
    "score": ("{title} ({from_}), from records", "{title}（{from_}），依据记录"),
    "feature": ("{name}: {what}", "{name}：{what}"),
    "label": ("“{label}”", "“{label}”"),
}  # fmt: skip


def in_words(features: Features, language: str = "en") -> Iterator[str]:
    """One line for each feature, then one for each outcome."""
    words = _Words(features, ("en", "zh").index(language))
    yield from map(words.feature, features.features)
    yield from map(words.outcome, features.outcomes)


class _Words:
    def __init__(self, features: Features, index: int):
        self.concepts, self.index = features.concepts, index

    def part(self, key: str, /, **values: object) -> str:
        return _PARTS[key][self.index].format(**values)

    def feature(self, feature: Feature) -> str:
        return self.part("feature", name=feature.name, what=self.listed(*self.facts(feature), feature.label))

    def listed(self, what: str, *more: str) -> str:
        """Some facts, and at the end what the investigator called it."""
        *facts, label = more
        return (", ", "，")[self.index].join([what, *facts, *([self.part("label", label=label)] if label else [])])

    def facts(self, feature: Feature) -> list[str]:
        if feature.domain == "person":
            return [_PERSON[feature.says][self.index]]
        parts = [self.said(feature), self.window(*feature.window)]
        if feature.unit:
            parts.append(self.part("unit", unit=feature.unit))
        if feature.low is not None or feature.high is not None:
            low, high = ("…" if end is None else f"{end:g}" for end in (feature.low, feature.high))
            parts.append(self.part("range", low=low, high=high))
        if feature.otherwise is not None:
            parts.append(self.part("otherwise", value=f"{feature.otherwise:g}"))
        return parts

    def said(self, feature: Feature) -> str:
        if feature.domain != SCORE:
            return _SAYS[feature.says][self.index].format(of=self.of(feature.domain, feature.of))
        asked = score(feature.says)
        return self.part("score", title=asked.title[("en", "zh")[self.index]], from_=asked.points_from)

    def outcome(self, outcome: Outcome) -> str:
        of = self.of(outcome.domain, outcome.of)
        said = self.part("outcome", name=outcome.name, of=of, window=self.window(*outcome.window))
        return self.listed(said, outcome.label)

    def of(self, domain: str, name: str) -> str:
        shown = _DOMAINS[domain][self.index]
        if not name:
            return self.part("every", domain=shown)
        return self.part("concepts", domain=shown, name=name, ids=self.ids(self.concepts[name]))

    def ids(self, concepts: Concepts) -> str:
        include, exclude = (", ".join(map(str, ids)) for ids in (concepts.include, concepts.exclude))
        parts = [self.part("ids", include=include)]
        if concepts.descendants:
            parts.append(self.part("descendants"))
        if exclude:
            parts.append(self.part("without", exclude=exclude))
        return (", ", "，")[self.index].join(parts)

    def window(self, first: int | None, last: int) -> str:
        if first is None:
            return self.part("ever", last=self.day(last))
        return self.part("window", first=self.day(first), last=self.day(last))

    def day(self, day: int) -> str:
        return self.part("on") if day == 0 else self.part("before" if day < 0 else "after", days=abs(day))
