"""A study document for tests."""

STUDY = """\
atoll: 1
title: Risk of diabetes after a check-up
purpose: Find people who will develop type 2 diabetes within three years of a check-up.
investigator:
  name: Wang Fang 王芳
  organisation: City Hospital
sites:
  north:
  river: {}
datasets:
  checkup:
    columns:
      age: {type: number, unit: a, range: [18, 110]}
      sex: {type: category, levels: [female, male]}
      diabetes: {type: flag, label: type 2 diabetes within three years}
analyses:
  risk:
    algorithm: glm
    dataset: checkup
    label: Risk model
    formula: diabetes ~ age + C(sex)
    family: binomial
privacy: {minimum_persons: 15, grid_days: 30}
valid: {from: 2026-11-01, until: 2027-11-01}
"""
