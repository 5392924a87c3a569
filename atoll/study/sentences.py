"""The sentences of `explain.py`: what a steward reads before approving, in English and Simplified Chinese.

Each entry is a pair (English, Chinese) with the same named places. `algorithm.option` explains an option,
`option=word` a value of it. A third party's algorithm has none of these and gets the general ones.
"""

from __future__ import annotations

from atoll.study import diagnosis_sentences

Pair = tuple[str, str]

FRAME: dict[str, Pair] = {
    "title": ("What this study would do with the data of {site}", "本研究将如何使用“{site}”的数据"),
    "title_all": (
        "What this study would do with the data of every hospital that it names",
        "本研究将如何使用各参与医院的数据",
    ),
    "who": ("Who asks, and why", "由谁提出，目的是什么"),
    "study": ("Study: {title}", "研究题目：{title}"),
    "investigator": ("Investigator: {name}, {organisation}", "研究者：{name}（{organisation}）"),
    "investigator_key": ("Key of the investigator: {key}", "研究者的密钥指纹：{key}"),
    "unsigned": (
        "The investigator's key is not named yet: this study is not signed.",
        "尚未写明研究者的密钥：本研究还没有签名。",
    ),
    "purpose": ("Purpose, in the investigator's words:", "研究目的（研究者原文）："),
    "read": ("What is read", "读取哪些数据"),
    "dataset": (
        "From the dataset {dataset} these columns, and no others, may be read:",
        "只允许从数据集 {dataset} 读取下列各列，其他列一概不读：",
    ),
    "made": (
        "The dataset {dataset} is made here from this hospital's OMOP data. Its persons:",
        "数据集 {dataset} 由本院的 OMOP 数据在本院生成。其人群：",
    ),
    "as_above": (
        "The same persons as in the dataset {dataset}, by the same definition.",
        "与数据集 {dataset} 的人群相同，定义亦相同。",
    ),
    "made_columns": (
        "Of each of them, at the start of the cohort (the index date):",
        "对其中每一位，在入组日（索引日期）取：",
    ),
    "warning": ("Warning: {what}", "警告：{what}"),
    "made_steps": (
        "Of each person with an initial event: which of the rules are kept, and whether the person is in the cohort.",
        "对每一位出现入组事件的人，取：满足哪些规则、是否在队列中。",
    ),
    "stays": (
        "They are read on this hospital's own computer; the rows stay there.",
        "数据只在本院的计算机上读取，逐行数据不离开本院。",
    ),
    "analyses": ("What is computed, and which numbers leave", "计算什么，哪些数字离开本院"),
    "analysis": ("{name}: {what}, on the dataset {dataset}", "{name}：{what}，使用数据集 {dataset}"),
    "label": ("Called: {label}", "名称：{label}"),
    "option": ("{option} = {value}: {meaning}", "{option} = {value}：{meaning}"),
    "leaves": ("Leaves the hospital: {what}", "离开本院的数字：{what}"),
    "rounds": (
        "Each analysis asks at most {rounds} times (rounds); each time the same kinds of numbers leave.",
        "每项分析最多询问 {rounds} 轮，每轮离开本院的都是同样几种数字。",
    ),
    "rounds_of_site": (
        "How often each analysis may ask (rounds) is settled by this hospital's own policy.",
        "每项分析最多询问多少轮，由本院自己的规则决定。",
    ),
    "together": (
        "The hub receives these numbers from each hospital and adds them; the result describes all patients together.",
        "中心收到各医院的这些数字后相加，结果反映全体患者的总体情况。",
    ),
    "never": ("What never leaves", "哪些数据绝不离开本院"),
    "never_rows": (
        "No patient's row, name, number or date; no free text, no file, no log.",
        "任何患者的逐行记录、姓名、编号和日期；任何自由文本、文件和日志。",
    ),
    "never_single": (
        "No value of a single patient, and no smallest or largest value.",
        "任何单个患者的数值，以及任何最小值和最大值。",
    ),
    "never_code": (
        "No program comes in: only the analyses above run, and they are installed here already.",
        "外来程序一律不进入本院：只运行上述分析，且这些分析已事先安装在本院。",
    ),
    "single_public": (
        "Because the study treats the data as public, values of single patients (such as exact times) may leave.",
        "由于本研究把数据视为公开数据，单个患者的数值（例如确切的时间）可能离开本院。",
    ),
    "limits": ("Limits that hold", "适用的限制"),
    "stricter": (
        "The stricter of this hospital's own policy and the study's wishes holds. The study can only tighten.",
        "本院规则与研究要求不一致时，以更严格者为准。研究只能收紧限制，不能放宽。",
    ),
    "asks": ("The study itself asks for:", "研究自身提出的要求："),
    "odd": (
        "Minimum and rounding become the next odd multiple of the hospital's own (of 5: 15, 25, …): its steps then lie "
        "on the hospital's, and tell no more.",
        "最少人数和取整步长取医院自身数值的下一个奇数倍（例如 5 的 15、25……）：取整点与医院自身的重合，不会透露更多。",
    ),
    "asks_nothing": ("The study asks for nothing stricter.", "研究没有提出更严格的要求。"),
    "in_force": ("In force at this hospital for this study:", "本院对本研究实际执行的限制："),
    "public": (
        "The study treats all its data as public. This lifts the limits above, but only for a dataset that "
        "this hospital has itself registered as public, with a reason; otherwise the study is refused.",
        "本研究把全部数据视为公开数据。只有本院自己登记为公开（并写明理由）的数据集才放宽上述限制，否则拒绝执行。",
    ),
    "not_public": ("The data are not treated as public.", "数据不作为公开数据处理。"),
    "dates": ("From when until when", "起止时间"),
    "valid": (
        "From {first} until {last}. Before and after, nothing is answered. You can pause or stop the study "
        "at any time, at once.",
        "自 {first} 起至 {last} 止，其余时间一律不回答。您可以随时暂停或终止本研究，立即生效。",
    ),
    "hospitals": ("Hospitals that take part", "参与医院"),
    "hospital": ("{site}: {key}", "{site}：{key}"),
    "this": ("{site} (this hospital): {key}", "{site}（本院）：{key}"),
    "no_key": ("key not named yet", "尚未写明密钥指纹"),
    "bound": ("What an approval binds to", "批准所对应的内容"),
    "hash": (
        "Exactly this text's study, byte for byte. Its hash: {hash}",
        "仅限本说明所描述的这份研究，一个字节都不能改。其校验值：{hash}",
    ),
    "draft": (
        "To the signed study, byte for byte. This draft is not signed: signing gives the study its hash.",
        "所批准的是签名后的研究，一个字节都不能改。本草稿尚未签名，签名后才有校验值。",
    ),
    "changed": (
        "If one byte of it changes, this hospital answers nothing until you approve again.",
        "研究内容若有任何改动，在您重新批准之前，本院不回答任何询问。",
    ),
}

COLUMNS: dict[str, Pair] = {
    "number": ("a number", "数值"),
    "category": ("a category", "分类"),
    "flag": ("yes or no", "是或否"),
    "date": ("a date", "日期"),
    "person": (
        "identifies the person: used to count persons, never leaves",
        "用于识别个人：只用来计算人数，绝不离开本院",
    ),
    "unit": ("unit {unit}", "单位 {unit}"),
    "range": ("from {low} to {high}", "范围 {low} 至 {high}"),
    "levels": ("one of {levels}", "取值为 {levels}"),
    "open": ("any", "不限"),
}

LIMITS: dict[str, Pair] = {
    "minimum_persons": (
        "at least {value} different persons behind every number",
        "每个数字背后至少有 {value} 名不同的患者",
    ),
    "rounding": (
        "numbers of persons that people see rounded to a multiple of {value}; sums for the computation leave exact",
        "供人查看的人数取整为 {value} 的倍数；计算所需的总和以精确值发出",
    ),
    "grid_days": ("survival times in steps of at least {value} days", "生存时间的间隔不小于 {value} 天"),
    "max_rounds": ("at most {value} rounds per analysis", "每项分析最多 {value} 轮"),
    "persons_per_parameter": (
        "at least {value} persons for each term of a model",
        "模型中每个参数至少对应 {value} 名患者",
    ),
    "residual_dof": ("at least {value} persons more than a model has terms", "患者人数至少比模型参数多 {value}"),
    "moments": ("sums of powers of a column up to the power {value}", "一列数值的幂次求和，最高 {value} 次"),
    "bins": ("at most {value} groups in a histogram", "直方图最多 {value} 组"),
    "max_bytes": ("at most {value} bytes in one answer", "每次回答最多 {value} 字节"),
    "exact_values": ("values of single persons may leave: {value}", "单个患者的数值可否离开本院：{value}"),
    "per_site": ("sums may be shown apart for this hospital: {value}", "可否单独显示本院的汇总数字：{value}"),
}

ALGORITHMS: dict[str, Pair] = {
    "describe": ("who the patients are, column by column (describe)", "逐列描述患者特征（describe）"),
    "glm": ("a regression model fitted over all hospitals (glm)", "在全部医院上拟合的回归模型（glm）"),
    "cox": (
        "a model of the time until an event, fitted over all hospitals (cox)",
        "在全部医院上拟合的生存时间模型，即比例风险回归（cox）",
    ),
    "kaplan_meier": ("survival curves and the log-rank test (kaplan_meier)", "生存曲线与对数秩检验（kaplan_meier）"),
    "performance": (
        "how well a given model predicts for each hospital's patients (performance)",
        "检验给定模型对各医院患者的预测效果（performance）",
    ),
    "attrition": ("where persons are lost, step by step (attrition)", "逐步统计人数在何处减少（attrition）"),
    "feasibility": (
        "how many persons a planned study would have, before it is signed (feasibility)",
        "签署研究之前，估计可纳入的人数（feasibility）",
    ),
    "comparability": (
        "whether the hospitals' columns mean the same, before any model is made (comparability)",
        "建模之前，比较各医院各列的含义是否一致（comparability）",
    ),
    "survey": ("what all hospitals' columns have in common (survey)", "各医院各列的共同信息（survey）"),
    "": ("the analysis {algorithm}, an addition to Atoll", "附加安装的分析 {algorithm}"),
} | diagnosis_sentences.ALGORITHMS

LEAVES: dict[str, Pair] = {
    "describe": (
        "the number of persons, of missing values and of persons per category; sums of each number and of its "
        "squared distance from the mean; numbers of persons per group of a histogram, for quantiles.",
        "总人数、缺失人数、各类别人数；各数值列的总和及其与均值之差的平方和；用于估计分位数的直方图各组人数。",
    ),
    "describe_public": (
        "sums of the third power of the distance from the mean, for the skewness.",
        "与均值之差的三次方和，用于计算偏度。",
    ),
    "glm": (
        "the number of persons; sums over them: the score and the information matrix of the model, the deviance, "
        "the log-likelihood and the squared residuals.",
        "患者人数，以及对全体患者求和得到的数字：模型的得分向量、信息矩阵、偏差、对数似然和残差平方和。",
    ),
    "glm_robust": (
        "at the end, the sum of the squared scores, and this hospital's own sum of scores.",
        "最后一轮：得分的平方和，以及本院自己的得分总和。",
    ),
    "cox": (
        "the numbers of persons and of events; sums over them: the score, the information matrix and the partial "
        "log-likelihood of the model. No table of times.",
        "患者人数和事件人数，以及求和得到的数字：模型的得分向量、信息矩阵和偏对数似然。不包含任何时间表。",
    ),
    "cox_over_sites": (
        "for each interval of time, the numbers of persons who leave and of events, and sums of their risks and "
        "columns.",
        "每个时间区间内退出观察的人数和事件人数，以及这些患者的风险值和各列数值的总和。",
    ),
    "kaplan_meier": (
        "for each interval of time and each group, the numbers of persons who leave and of events.",
        "每个时间区间、每个分组内退出观察的人数和事件人数。",
    ),
    "kaplan_meier_strata": (
        "observed and expected numbers of events per group, and their variance.",
        "各组的实际事件数和期望事件数，及其方差。",
    ),
    "performance": (
        "the numbers of persons, with and without the event; sums of predicted risks, of squared errors and of "
        "scores; numbers of persons per group of the score; sums for the calibration intercept and slope.",
        "患者总人数、发生与未发生事件的人数；预测风险、误差平方和评分的总和；评分各组的人数；校准截距和斜率所需的总和。",
    ),
    "performance_by_site": (
        "this hospital's own figures: area under the curve, error, ratio of observed to expected events, calibration.",
        "本院自己的指标：曲线下面积、误差、实际与期望事件数之比、校准参数。",
    ),
    "attrition": (
        "the number of persons, of those who are left after each step, and of those who keep each step alone. A number "
        "of which fewer persons than the minimum would stand apart is not told, only two between which it lies; where "
        "fewer than the minimum enter, only that: the same answer for one person as for nobody.",
        "总人数、每一步之后剩余的人数、单独满足每一步的人数。若会使少于最低人数的患者显露，则不给出该数字，只给出其上下界；"
        "若进入的总人数低于最低人数，则只说明这一点，一人与零人的回答完全相同。",
    ),
    "attrition_by_site": (
        "this hospital's own numbers of persons, to the nearest multiple of the minimum.",
        "本院自己的人数，取整为最低人数的倍数。",
    ),
    "feasibility": (
        "the number of persons, of those of whom each planned column is known, and of those with the event. A number "
        "of which fewer persons than the minimum would stand apart is not told, only two between which it lies.",
        "总人数、计划使用的各列依次均有记录的人数，以及其中发生事件的人数。若会使少于最低人数的患者显露，则不给出该数字，只给出其上下界。",
    ),
    "comparability": (
        "this hospital's own numbers of persons, to multiples of the minimum: with a value of each column, in each "
        "category, and per group of a histogram of each number. Other hospitals' figures stand beside them.",
        "本院自己的人数，取整为最低人数的倍数：各列有数值的人数、各类别人数，以及各数值列直方图各组的人数。这些数字将与其他医院的并列显示。",
    ),
    "survey": (
        "numbers of persons per category; sums and sums of squares of numbers; numbers of persons per group of a "
        "histogram.",
        "各类别人数；各数值列的总和与平方和；直方图各组人数。",
    ),
    "formula": (
        "first, where the formula needs them: persons per category, sums for means and standard deviations, and "
        "persons per group of a histogram for the knots of a curve.",
        "第一轮（公式需要时）：各类别人数、计算均值和标准差的总和，以及确定曲线节点所需的直方图各组人数。",
    ),
    "exact_times": ("every distinct time: the data are treated as public.", "每一个不同的时间值：数据被视为公开数据。"),
    "": (
        "numbers of persons and sums over persons only; this hospital's gate checks each of them by its kind.",
        "仅限人数和对患者求和得到的数字；本院的出口按每个数字的种类逐一检查。",
    ),
} | diagnosis_sentences.LEAVES

OPTIONS: dict[str, Pair] = {
    "describe.columns": ("the columns that are described.", "要描述的列。"),
    "glm.formula": (
        "left of ~ the outcome, right of it what explains it.",
        "~ 左边是结局，右边是解释它的变量。",
    ),
    "glm.family": ("the kind of outcome", "结局的类型"),
    "glm.link": ("how the outcome's mean depends on the sum of the terms", "结局均值与各项之和的关系"),
    "glm.offset": ("this column enters with the fixed coefficient 1.", "该列以固定系数 1 进入模型。"),
    "glm.site_intercepts": ("whether each hospital has a base level of its own.", "是否为每家医院单独设截距。"),
    "glm.robust": ("standard errors that hold when the model is wrong", "模型不完全正确时仍然有效的标准误"),
    "cox.formula": ("what explains the time until the event.", "解释事件发生时间的变量。"),
    "cox.time": ("the column with the time of follow-up.", "随访时间所在的列。"),
    "cox.event": ("the column that says whether the event happened.", "标明事件是否发生的列。"),
    "cox.strata": (
        "each of these groups has a base risk of its own; `site` means each hospital.",
        "其中每一组有自己的基线风险；site 指每家医院。",
    ),
    "cox.strata=[]": (
        "all hospitals share one base risk, so numbers per interval of time leave.",
        "各医院共用一个基线风险，因此每个时间区间的数字会离开本院。",
    ),
    "cox.ties": ("how events at the same time are counted", "同一时间发生多个事件时的处理方法"),
    "cox.grid": ("the times that cut follow-up into intervals.", "把随访划分为若干区间的时间点。"),
    "kaplan_meier.time": ("the column with the time of follow-up.", "随访时间所在的列。"),
    "kaplan_meier.event": ("the column that says whether the event happened.", "标明事件是否发生的列。"),
    "kaplan_meier.by": ("one curve for each of its categories.", "该列的每个类别各画一条曲线。"),
    "kaplan_meier.times": ("the times at which the curve is read.", "读取生存率的时间点。"),
    "kaplan_meier.grid": ("the width of the intervals of time.", "时间区间的宽度。"),
    "kaplan_meier.strata": (
        "groups are compared within these; `site` means each hospital.",
        "在这些分层内部进行比较；site 指每家医院。",
    ),
    "performance.model": (
        "the model that is judged, with its terms and coefficients.",
        "被检验的模型，包括各项及其系数。",
    ),
    "performance.outcome": ("the column that says whether the event happened.", "标明事件是否发生的列。"),
    "performance.by_site": ("whether each hospital's figures are also shown apart.", "是否另外单独显示各医院的指标。"),
    "attrition.columns": ("the steps, in order; each is kept or not.", "依次排列的各步骤，每一步满足或不满足。"),
    "attrition.by_site": ("whether each hospital's numbers are also shown apart.", "是否另外单独显示各医院的人数。"),
    "feasibility.columns": ("what the planned analysis needs.", "计划中的分析所需要的列。"),
    "feasibility.happened": ("the column that says whether the event happened.", "标明事件是否发生的列。"),
    "comparability.columns": ("what is compared between the hospitals.", "在各医院之间比较的列。"),
    "survey.levels_of": ("columns whose categories are asked for.", "询问类别的列。"),
    "survey.quantiles_of": ("columns whose quantiles are asked for.", "询问分位数的列。"),
    "survey.moments_of": ("columns whose mean and standard deviation are asked for.", "询问均值和标准差的列。"),
    "": ("an option of this analysis.", "该分析的一个选项。"),
} | diagnosis_sentences.OPTIONS

WORDS: dict[str, Pair] = {
    "family=gaussian": ("a number (linear regression).", "数值（线性回归）。"),
    "family=binomial": (
        "yes or no (logistic regression, unless the link says otherwise).",
        "是或否（默认为逻辑回归）。",
    ),
    "family=poisson": ("a count (Poisson regression).", "计数（泊松回归）。"),
    "family=gamma": ("a positive, skewed number (gamma regression).", "偏态的正数（伽马回归）。"),
    "link=identity": ("directly: differences.", "直接相等：系数为差值。"),
    "link=logit": ("through the log odds: odds ratios.", "通过对数比值：系数对应比值比。"),
    "link=probit": ("through the normal distribution.", "通过正态分布函数。"),
    "link=cloglog": (
        "through the complementary log-log: hazard ratios in grouped time.",
        "通过互补双对数：系数对应风险比。",
    ),
    "link=log": ("through the logarithm: ratios.", "通过对数：系数对应比值。"),
    "robust=HC0": ("from the spread over patients.", "根据患者之间的离散程度计算。"),
    "robust=site": ("from the spread over hospitals.", "根据医院之间的离散程度计算。"),
    "ties=efron": ("by Efron's method.", "采用埃夫隆方法。"),
    "ties=breslow": ("by Breslow's method.", "采用布雷斯洛方法。"),
}
