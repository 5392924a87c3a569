"""What each family of checks looks at, and what to do where it fails, in English and Simplified Chinese."""

from __future__ import annotations

Pair = tuple[str, str]

KINDS: dict[str, Pair] = {
    "conformance": ("conformance", "符合性"),
    "completeness": ("completeness", "完整性"),
    "plausibility": ("plausibility", "合理性"),
}
WORDS: dict[str, Pair] = {
    "table_there": ("Every table of the model is there.", "模型中的每张表都存在。"),
    "column_there": ("Every column of the model is in its table.", "模型中的每一列都在所属表中。"),
    "column_type": ("Every column holds what the model says.", "每一列的类型与模型一致。"),
    "required": ("What the model never leaves empty is not empty.", "模型要求必填的内容没有空缺。"),
    "unique_key": ("No two rows have one key.", "没有两行使用同一主键。"),
    "reference_known": ("Whom or what a row refers to is there.", "行所引用的对象确实存在。"),
    "reference_same_person": ("What a row refers to is the same person's.", "行所引用的对象属于同一个人。"),
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
    "birth_shared": ("No day of birth is shared by far too many.", "没有过多的人同一天出生。"),
    "number_possible": ("Quantities and days of supply are not negative.", "数量与供药天数不为负。"),
    "unit_plausible": ("A test is in one of its units.", "检验使用其合理单位之一。"),
    "sex_possible": ("What befalls one sex is recorded of no other.", "单一性别的情况只记录于该性别。"),
    "no_gap": ("No month in between is as good as empty.", "期间没有几乎空白的月份。"),
    "same_span": ("A table begins and ends when the others do.", "各表的起止时间一致。"),
    "no_jump": ("Records do not change tenfold from month to month.", "逐月记录数没有十倍的变化。"),
    "one_unit": ("A test is in one unit.", "同一检验使用同一单位。"),
    "no_negative": ("Values of a test are not negative.", "检验数值不为负。"),
    "one_scale": ("Values of a test lie on one scale, not partly on that of another unit.",
                  "检验数值处于同一量级，没有混入另一单位的量级。"),
    "no_second_unit": ("Values of a test do not stand the factor between two units apart.",
                       "同一检验的数值之间没有相差两种单位的换算倍数。"),
    "same_for_sexes": ("The middle value of a test is of one size in both sexes.", "检验中位数在两性间量级一致。"),
    "same_over_ages": ("The middle value of a test does not leap from one age to the next.",
                       "检验中位数在相邻年龄间没有量级跳变。"),
    "same_over_years": ("The middle value of a test is of one size from year to year.", "检验中位数逐年量级一致。"),
    "middle_plausible": ("The middle value of a test is one of people of that sex and age.",
                         "检验中位数符合该性别与年龄的人群。"),
    "sexes_in_order": ("The sex with the higher values of a test is the one of people in general.",
                       "检验数值较高的性别与一般人群一致。"),
    "value_possible": ("Results lie where those of living people can.", "检验数值处于活人可能的范围内。"),
    "not_zero": ("What everybody alive has some of is not zero.", "人人皆有的指标不为零。"),
    "supply_possible": ("No supply of drugs lasts longer than a year.", "供药天数不超过一年。"),
    "pressure_in_order": ("The systolic pressure is above the diastolic one.", "收缩压高于舒张压。"),
    "not_doubled": ("Records are not the same as others but for their number.", "记录没有除编号外完全重复。"),
}  # fmt: skip
_CREATE: Pair = (
    "Make the empty tables with `atoll cdm create`, then load again.",
    "用 `atoll cdm create` 建立空表，再重新加载。",
)
_DAY: Pair = (
    "Look whether the mapping's pattern of the date is the export's (day and month exchanged?), then at the rows.",
    "先核对映射中的日期格式是否与导出文件一致（日月是否颠倒），再查看来源中的这些行。",
)
_UNIT: Pair = (
    "Give these values their unit in the mapping (`unit`), or convert them there (`convert`).",
    "在映射中为这些数值给出单位（`unit`），或在那里换算（`convert`）。",
)
_GROUP: Pair = (
    "Ask the laboratory whether a ward or analyser reports in another unit; convert it in the mapping.",
    "请检验科确认是否有某一人群、病区或仪器使用另一单位；在映射中换算。",
)
ADVICE: dict[str, Pair] = {
    "table_there": _CREATE,
    "column_there": _CREATE,
    "column_type": (
        "Change the column's type to the model's, or load into tables that `atoll cdm create` made.",
        "把该列改为模型规定的类型，或加载到 `atoll cdm create` 建立的表中。",
    ),
    "required": (
        "Give the column a value in the mapping, or leave rows without it out (`where`).",
        "在映射中为该列给出值，或用 `where` 排除没有值的行。",
    ),
    "unique_key": (
        "Choose as `key` in the mapping what tells rows of the source apart, or say `distinct: true`.",
        "在映射中选择能区分来源各行的列作为 `key`，或写 `distinct: true`。",
    ),
    "reference_known": (
        "Look whether the table that is referred to was exported whole, for the same days and persons.",
        "检查被引用的表是否完整导出，日期与人员范围是否相同。",
    ),
    "reference_same_person": (
        "Look at the numbers of visits in the export: one may have been given twice, or to a patient merged since.",
        "检查导出中的就诊号：可能重复使用，或属于此后合并的患者。",
    ),
    "concept_known": (
        "Load the vocabulary that holds these concepts, or correct their number in the code list.",
        "加载含有这些概念的术语表，或在编码表中改正编号。",
    ),
    "concept_domain": (
        "Map these codes to the table of their domain: a second rule with `where` takes them there.",
        "把这些编码映射到其领域所属的表：另写一条带 `where` 的规则。",
    ),
    "concept_standard": (
        "Replace the concept by the standard one to which its `Maps to` leads.",
        "改用该概念的 `Maps to` 关系所指的标准概念。",
    ),
    "concept_valid": (
        "Load with a newer vocabulary, or replace the withdrawn concept in the code list.",
        "使用较新的术语表加载，或在编码表中替换已停用的概念。",
    ),
    "date_matches_time": (
        "Make both columns in the mapping from the same column of the source.",
        "在映射中由来源的同一列得出日期与时间两列。",
    ),
    "text_fits": (
        "Shorten the text in the mapping (`slice`), or look whether the right column was taken.",
        "在映射中截短文本（`slice`），或确认所取的列是否正确。",
    ),
    "one_row_a_person": (
        "Keep one death of each person in the mapping (`distinct: true`, or `first`).",
        "在映射中每人只保留一条死亡记录（`distinct: true` 或 `first`）。",
    ),
    "person_observed": (
        "Look whether these persons have any record; leave those without one out, or export the rest.",
        "检查这些人是否有任何记录；没有记录的人可以排除，或补充导出。",
    ),
    "person_has_records": (
        "Look whether the table was exported for all days and departments, with the same patient numbers.",
        "检查该表是否导出了所有日期和科室，并使用同一患者编号关联。",
    ),
    "code_mapped": (
        "Give the commonest of these codes concepts first: `atoll terms suggest` finds candidates.",
        "先为最常见的编码指定概念：`atoll terms suggest` 会给出候选。",
    ),
    "unit_given": _UNIT,
    "value_given": (
        "Look whether the result stands in another column of the source, and map that too.",
        "检查结果是否在来源的另一列中，并把该列也映射过来。",
    ),
    "source_kept": (
        "Map the source's own code or word to the `…_source_value` column.",
        "把来源自己的编码或文字映射到 `…_source_value` 列。",
    ),
    "visit_linked": (
        "Map the visit's number, or let the loader link by day (`visits: {link: true}`).",
        "映射就诊号，或让加载程序按日期关联（`visits: {link: true}`）。",
    ),
    "birth_given": (
        "Map the date of birth as a whole, and complete the code list of sexes.",
        "完整映射出生日期，并补全性别编码表。",
    ),
    "after_birth": _DAY,
    "before_death": (
        "Look whether dates of death are true in the source, and whether patient numbers are used twice.",
        "核对来源中的死亡日期是否真实，以及患者编号是否重复使用。",
    ),
    "not_future": _DAY,
    "not_ancient": (
        "Name the source's stand-in for “no date” in the mapping (`missing`, or `unless`).",
        "在映射中注明来源用来表示“无日期”的值（`missing` 或 `unless`）。",
    ),
    "end_after_start": (
        "Look whether start and end are exchanged in the mapping, then at the rows in the source.",
        "检查映射中开始与结束是否颠倒，再查看来源中的这些行。",
    ),
    "within_observation": (
        "Let observation periods come from all records (`periods` in the mapping), or widen the gap.",
        "让观察期由所有记录得出（映射中的 `periods`），或加大间隔。",
    ),
    "age_possible": (
        "Look at the pattern of the date of birth: years of two digits fall into the wrong century.",
        "检查出生日期的格式：两位数的年份会落入错误的世纪。",
    ),
    "birth_shared": (
        "Ask which day the source writes for an unknown birth, and leave it out in the mapping (`unless(value, …)`).",
        "确认来源用哪一天表示出生日期不详，并在映射中排除（`unless(value, …)`）。",
    ),
    "number_possible": (
        "Look whether returns and cancellations are written as negative numbers; leave them out.",
        "检查退药和取消是否以负数记录；请排除它们。",
    ),
    "unit_plausible": (
        "Look whether the test has the right concept, and correct the concept or the unit in the list.",
        "检查该检验的概念是否正确，在编码表中改正概念或单位。",
    ),
    "sex_possible": (
        "Look whether the code list of sexes is exchanged, then whether the code has the right concept.",
        "检查性别编码表是否颠倒，再检查编码的概念是否正确。",
    ),
    "no_gap": (
        "Ask whether the export leaves these months out, or whether a system was changed then.",
        "确认导出是否遗漏了这些月份，或当时是否更换过系统。",
    ),
    "same_span": (
        "Ask whether this table was exported for fewer days, or whether its system came later or was replaced.",
        "确认该表的导出日期范围是否较短，或其系统是否较晚启用或已被更换。",
    ),
    "no_jump": (
        "Ask what changed in that month: a department that joined, a system, or a doubled export.",
        "确认该月发生了什么变化：新增科室、更换系统或重复导出。",
    ),
    "one_unit": _UNIT,
    "no_negative": (
        "Look whether a minus sign stands for “below” or for “missing”, and read it so in the mapping.",
        "检查负号是否表示“低于”或“缺失”，并在映射中如此读取。",
    ),
    "one_scale": _UNIT,
    "no_second_unit": _UNIT,
    "same_for_sexes": _GROUP,
    "same_over_ages": _GROUP,
    "middle_plausible": (
        "Look which unit the laboratory reports in: the values are not on the scale of the one they are given. Then"
        " convert them in the mapping.",
        "核对检验科实际使用的单位：数值与所给单位的量级不符；在映射中换算。",
    ),
    "sexes_in_order": (
        "Look whether the code list of sexes is exchanged.",
        "检查性别编码表是否颠倒。",
    ),
    "value_possible": (
        "Look whether a number stands for “not measured”, and whether decimal points are read as they are written.",
        "检查是否用某个数字表示“未测”，以及小数点是否按原样读取。",
    ),
    "not_zero": (
        "Name the zero that stands for “not measured” in the mapping (`unless(value, 0)`).",
        "在映射中注明以 0 表示“未测”（`unless(value, 0)`）。",
    ),
    "supply_possible": (
        "Look whether the column holds days; weeks, tablets and doses are to be turned into days in the mapping.",
        "核对该列是否为天数；周数、片数或剂量须在映射中换算成天数。",
    ),
    "pressure_in_order": (
        "Look whether systolic and diastolic pressure are exchanged in the mapping or in the code list.",
        "检查映射或编码表中收缩压与舒张压是否颠倒。",
    ),
    "not_doubled": (
        "Look whether an export was read twice, or a `join` repeats rows; give the rule the `key` of its rows.",
        "检查导出文件是否读入两次，或 `join` 使行重复；为规则给出行的 `key`。",
    ),
    "same_over_years": (
        "Ask the laboratory when method or unit changed; convert the values before that day.",
        "请检验科确认方法或单位何时改变；换算该日之前的数值。",
    ),
}
VERDICTS: dict[str, Pair] = {
    "failed": ("failed", "未通过"),
    "passed": ("passed", "通过"),
    "empty": ("nothing to look at", "无可检查的数据"),
    "missing": ("not there", "不存在"),
}
