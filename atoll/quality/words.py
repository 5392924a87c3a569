"""What each family of checks looks at, in English and Simplified Chinese."""

from __future__ import annotations

Pair = tuple[str, str]

KINDS: dict[str, Pair] = {
    "conformance": ("keeps to the model", "符合模型"),
    "completeness": ("is there", "完整"),
    "plausibility": ("can be true", "合理"),
}
WORDS: dict[str, Pair] = {
    "table_there": ("Every table of the model is there.", "模型中的每张表都存在。"),
    "column_there": ("Every column of the model is in its table.", "模型中的每一列都在所属表中。"),
    "column_type": ("Every column holds what the model says.", "每一列的类型与模型一致。"),
    "required": ("What the model never leaves empty is not empty.", "模型要求必填的内容没有空缺。"),
    "unique_key": ("No two rows have one key.", "没有两行使用同一主键。"),
    "reference_known": ("Whom or what a row refers to is there.", "行所引用的对象确实存在。"),
    "concept_known": ("Every concept is in the vocabulary.", "每个概念都在术语表中。"),
    "concept_domain": ("A concept belongs to the domain of its column.", "概念属于所在列的领域。"),
    "concept_standard": ("Concepts are standard ones.", "概念为标准概念。"),
    "concept_valid": ("No concept was withdrawn.", "没有已停用的概念。"),
    "date_matches_time": ("A date and the date of its time are one day.", "日期与其时间戳为同一天。"),
    "text_fits": ("No text is longer than the model allows.", "文本长度不超过模型规定。"),
    "one_row_a_person": ("A person dies once.", "每人只有一条死亡记录。"),
    "person_observed": ("Every person has an observation period.", "每人都有观察期。"),
    "person_has_records": ("A table that is used holds records of more than a few.", "已使用的表不只含少数人的记录。"),
    "code_mapped": ("Codes have a standard concept.", "编码都有对应的标准概念。"),
    "unit_given": ("A number has a unit that is known.", "数值带有已知单位。"),
    "value_given": ("A measurement has a result.", "检验有结果。"),
    "source_kept": ("A record has a concept, or the words of its source.", "记录有概念，或保留了来源原文。"),
    "visit_linked": ("Records say at which visit they were made.", "记录注明所属就诊。"),
    "birth_given": ("Birth and sex are known.", "出生日期与性别已知。"),
    "after_birth": ("Nothing happens before birth.", "没有早于出生的事件。"),
    "before_death": ("Nothing happens long after death.", "没有远晚于死亡的事件。"),
    "not_future": ("Nothing lies in the future.", "没有未来的日期。"),
    "not_ancient": ("No date lies before 1900.", "没有早于 1900 年的日期。"),
    "end_after_start": ("What ends has begun.", "结束不早于开始。"),
    "within_observation": ("Records lie within observation.", "记录在观察期之内。"),
    "age_possible": ("Births are possible.", "出生日期合理。"),
    "number_possible": ("Quantities and days of supply are not negative.", "数量与供药天数不为负。"),
    "unit_plausible": ("A test is in one of its units.", "检验使用其合理单位之一。"),
    "sex_possible": ("What befalls one sex is recorded of no other.", "单一性别的情况只记录于该性别。"),
    "no_gap": ("No month is without records.", "没有无记录的月份。"),
    "no_jump": ("Records do not change tenfold from month to month.", "逐月记录数没有十倍的变化。"),
    "one_unit": ("A test is in one unit.", "同一检验使用同一单位。"),
    "no_negative": ("Values of a test are not negative.", "检验数值不为负。"),
    "one_scale": ("Values of a test lie on one scale, not partly on that of another unit.",
                  "检验数值处于同一量级，没有混入另一单位的量级。"),
    "same_for_sexes": ("The middle value of a test is of one size in both sexes.", "检验中位数在两性间量级一致。"),
    "same_over_ages": ("The middle value of a test does not leap from one age to the next.",
                       "检验中位数在相邻年龄间没有量级跳变。"),
    "same_over_years": ("The middle value of a test is of one size from year to year.", "检验中位数逐年量级一致。"),
}  # fmt: skip
VERDICTS: dict[str, Pair] = {
    "failed": ("failed", "未通过"),
    "passed": ("passed", "通过"),
    "empty": ("nothing to look at", "无可检查的数据"),
    "missing": ("not there", "不存在"),
}
