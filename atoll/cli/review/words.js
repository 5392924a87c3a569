"use strict";
// What the page says, in the page's language. A reason comes from the matcher in English, in a few forms: in Chinese each
// form has its sentence, and the words that someone else wrote (a test's, a concept's) stand as they are.
const UNKNOWN = /^Concept (\d+) is in none/;
const DOUBTED = /^Concept (\d+) is none that Atoll/;
const WORDS = {
  en: {
    lang: "en", title: "Terms to review",
    counts: (s) => `${s.open} open, ${s.settled} of ${s.names} settled, ${s.disputed} disputed`,
    nothing: "0  nothing fits", later: "s  later", undo: "u  undo", label: "another concept id (t)", take: "take it",
    keys: "Keys: 1–9 a candidate · 0 nothing fits · t type a concept id (Esc leaves it) · s later · u undo",
    done: "Everything is decided.", none: "No candidate: t types a concept id, 0 says that nothing fits.",
    refused: (said) => said, gone: "The program does not answer. Was it ended? Start it again; every decision is kept.",
    context: (key) => `${key}: `,
  },
  zh: {
    lang: "zh-Hans", title: "待审核的术语",
    counts: (s) => `待定 ${s.open}，已定 ${s.settled}／${s.names}，有分歧 ${s.disputed}`,
    nothing: "0  都不合适", later: "s  稍后", undo: "u  撤销", label: "其他概念编号 (t)", take: "采用",
    keys: "按键：1–9 选候选 · 0 都不合适 · t 输入概念编号（Esc 离开）· s 稍后 · u 撤销",
    done: "全部已决定。", none: "没有候选：按 t 输入概念编号，按 0 表示都不合适。",
    refused: (said) => (UNKNOWN.test(said) ? `概念 ${said.match(UNKNOWN)[1]} 不在概念文件或术语表中。请改正编号，或给出含有它的文件后重新启动。`
      : DOUBTED.test(said) ? `本程序不认识概念 ${said.match(DOUBTED)[1]}，也没有给出可供查找的术语表。编号正确吗？再输入一次即采用。`
      : "这一决定未被接受。请重新载入本页后再试。"), gone: "程序没有回应，可能已经结束。请重新启动；已作的决定都已保存。",
    context: (key) => `${({ code: "代码", specimen: "标本", category: "类别", unit: "单位", rows: "行数", values: "取值" })[key]}：`,
  },
};
const SPECIMENS = {
  amniotic: "羊水", arterial: "动脉血", blood: "血液", bloodmarrow: "血液与骨髓", csf: "脑脊液", dialysate: "透析液", fetus: "胎儿",
  fluid: "体液", marrow: "骨髓", pericardial: "心包积液", peritoneal: "腹水", pleural: "胸水", ppp: "乏血小板血浆",
  ppp_control: "对照血浆", prp: "富血小板血浆", redcells: "红细胞", respiratory: "呼吸道标本", saliva: "唾液", sediment: "沉渣",
  semen: "精液", serum: "血清", serumblood: "血清或血液", specimen: "标本", stool: "粪便", sweat: "汗液", synovial: "关节液",
  tissue: "组织", urine: "尿液", urine24: "24 小时尿", urineserum: "尿液与血清", vaginal: "阴道分泌物", whitecells: "白细胞",
  system: "系统", other: "其他",
};
const PROPERTIES = {
  area: "面积", cells: "细胞计数", clearance: "清除率", count: "计数", daily: "每日量", entitic: "单个细胞的量", enzyme: "酶活性",
  field: "每视野", fraction: "比率", log: "对数", mass: "质量浓度", masscontent: "质量含量", moles: "物质的量浓度", none: "无",
  percent: "百分比", presence: "有无", pressure: "压力", qualitative: "定性", ratio: "比值", seconds: "秒数", text: "文字",
  time: "时间", titer: "滴度", unit: "单位", units: "单位浓度",
};
const REASONS = [  // a form, and its parts: a text, or [the words that were given]
  [/^decided so before$/, () => ["以前这样决定过"]],
  [/^same words: (.*)$/, (given) => ["词全部相同：", [given]]],
  [/^shared words: (.*)$/, (given) => ["共有的词：", [given]]],
  [/^similar letters \((.*)\)$/, (share) => [`字形相近（${share}）`]],
  [/^specimen (\w+) is close to (\w*)$/, (a, b) => ["标本", said(SPECIMENS, a), "与", said(SPECIMENS, b), "相近"]],
  [/^specimen (\w+)$/, (a) => ["标本相同：", said(SPECIMENS, a)]],
  [/^another specimen: (\w+)$/, (a) => ["标本不同：", said(SPECIMENS, a)]],
  [/^(\w+) fits (\w+)$/, (a, b) => [said(PROPERTIES, a), "与", said(PROPERTIES, b), "相符"]],
  [/^(\w+) is to be converted into (\w+)$/, (a, b) => [said(PROPERTIES, a), "须换算为", said(PROPERTIES, b)]],
  [/^(\w+) hardly fits (\w+)$/, (a, b) => [said(PROPERTIES, a), "与", said(PROPERTIES, b), "不太相符"]],
  [/^method words$/, () => ["有表示方法的词"]],
];

function said(table, word) { return table[word] || [word]; }

function reasonParts(reason, language) {
  if (language === "en") return [reason];
  return reason.split("; ").flatMap((part, at) => {
    const form = REASONS.find(([pattern]) => pattern.test(part));
    return [...(at ? ["；"] : []), ...(form ? form[1](...part.match(form[0]).slice(1)) : [[part]])];
  });
}
