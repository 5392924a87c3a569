"""A scan of an export as one page that needs no server: what `atoll source scan --page` writes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from atoll.settings import Language
from atoll.ui.layout import assets, render

HERE = Path(__file__).parent / "templates"
FIRST = 5  # frequent values that are shown at once
Pairs = Mapping[str, tuple[str, str]]
TYPES: Pairs = {
    "integer": ("integer", "整数"),
    "number": ("number", "数值"),
    "text": ("text", "文本"),
    "date": ("date", "日期"),
    "datetime": ("date and time", "日期时间"),
    "truth": ("true or false", "是或否"),
    "empty": ("empty", "空"),
    "time": ("time of day", "时刻"),
    "binary": ("binary", "二进制"),
    "array": ("list", "列表"),
    "struct": ("structure", "结构"),
}
MEANINGS: Pairs = {
    "birth": ("date of birth", "出生日期"),
    "birth_year": ("year of birth", "出生年份"),
    "blood_pressure": ("blood pressure, both", "血压"),
    "bmi": ("body mass index", "体重指数"),
    "days": ("days of supply", "供药天数"),
    "death": ("date of death", "死亡日期"),
    "diagnosed": ("day of diagnosis", "诊断日期"),
    "diagnosis": ("diagnosis", "诊断"),
    "diagnosis_name": ("name of a diagnosis", "诊断名称"),
    "diastolic": ("diastolic pressure", "舒张压"),
    "drug": ("drug", "药品"),
    "drug_name": ("name of a drug", "药品名称"),
    "end": ("end", "结束"),
    "height": ("height", "身高"),
    "measured": ("day of a test", "检验日期"),
    "name": ("name of a person", "姓名"),
    "operated": ("day of a procedure", "手术日期"),
    "person": ("person", "患者"),
    "prescribed": ("day of prescription", "处方日期"),
    "procedure": ("procedure", "手术或操作"),
    "procedure_name": ("name of a procedure", "手术或操作名称"),
    "race": ("race", "种族"),
    "range_high": ("upper end of the reference range", "参考范围上限"),
    "range_low": ("lower end of the reference range", "参考范围下限"),
    "reference": ("reference range", "参考范围"),
    "sex": ("sex", "性别"),
    "smoking": ("smoking", "吸烟"),
    "comparator": ("sign before a result", "结果前的符号"),
    "answer": ("code of a result", "结果代码"),
    "answer_name": ("name of a result", "结果名称"),
    "deceased": ("has died, yes or no", "是否死亡"),
    "value_string": ("result in words", "文字结果"),
    "start": ("start", "开始"),
    "systolic": ("systolic pressure", "收缩压"),
    "temperature": ("body temperature", "体温"),
    "test": ("test", "检验项目"),
    "test_name": ("name of a test", "检验名称"),
    "unit": ("unit", "单位"),
    "value": ("value", "数值"),
    "visit": ("visit", "就诊"),
    "visit_kind": ("kind of visit", "就诊类型"),
    "weight": ("weight", "体重"),
}
BROKEN: Pairs = {
    "cast": ("a value does not fit", "有值不符合类型"),
    "missing columns": ("columns are missing", "缺少列"),
    "too many columns": ("too many columns", "列过多"),
    "unquoted value": ("a quotation mark is not closed", "引号没有闭合"),
    "line size over maximum": ("the line is too long", "行过长"),
    "invalid encoding": ("a letter is not in the file's encoding", "有字符不符合文件编码"),
    "invalid state": ("the line cannot be parsed", "无法解析该行"),
    "no json": ("no JSON", "不是该格式的内容"),
}


def page(document: Mapping[str, Any], language: Language) -> str:
    """The document of `atoll.ingest.scan` as HTML, with its style inside."""
    index = ("en", "zh").index(language)

    def word(pairs: Pairs, code: str) -> str:
        return pairs[code][index] if code in pairs else code.replace("_", " ")

    style = assets()["atoll.css"].decode("utf-8")
    return render(
        HERE, "scan.html", language, scan=document, style=style, first=FIRST,
        typed=lambda code: word(TYPES, code), meant=lambda code: word(MEANINGS, code),
        broken=lambda code: word(BROKEN, code),
    )  # fmt: skip
