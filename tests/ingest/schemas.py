"""Exports as hospitals' systems name them, for the tests of drafts: a schema each, made of a few hundred rows.

The names are those that such systems use; the rows are counted, so that a test knows what must arrive: N patients, two
stays and four results for each, a diagnosis and a drug a stay.
"""

# ruff: noqa: E501 - a table is a header and a line

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

N = 60
STAYS, RESULTS = 2 * N, 4 * N


def csv(header: str, line: Callable[[int], str], rows: int) -> str:
    """A table as text."""
    return "\n".join([header, *map(line, range(rows))]) + "\n"


def day(i: int, form: str = "{y}-{m:02}-{d:02}") -> str:
    """The days of some stays: of each patient two in different years."""
    return form.format(y=2021 + i // N % 2, m=1 + i % 12, d=1 + i % 28)


def born(i: int, form: str = "{y}-{m:02}-{d:02}") -> str:
    """Births, between 1930 and 1989."""
    return form.format(y=1930 + i % 60, m=1 + i % 12, d=1 + i % 28)


def stay(i: int) -> int:
    """The stay that has a result."""
    return i % STAYS


LOINC = ("2345-7", "2160-0", "718-7", "2823-3")
TESTS = ("Glucose", "Creatinine", "Hemoglobin", "Potassium")
UNITS = ("mg/dL", "mg/dL", "g/dL", "mmol/L")
VALUES = (95, 0.9, 13.5, 4.1)
ICD = ("E11.9", "I10", "J18.9", "N18.3")
DRUGS = ("Metformin 500 mg", "Amlodipine 5 mg", "Amoxicillin 250 mg", "Atorvastatin 20 mg")
ATC = ("A10BA02", "C08CA01", "J01CA04", "C10AA05")
ZH_TESTS, ZH_UNITS = ("葡萄糖", "肌酐", "血红蛋白", "钾"), ("mmol/L", "umol/L", "g/L", "mmol/L")
ZH_VALUES = (5.3, 70, 135, 4.1)
ZH_DRUGS = ("二甲双胍片", "氨氯地平片", "阿莫西林胶囊", "阿托伐他汀钙片")
ZH_SICK = ("2型糖尿病", "高血压病", "肺炎", "慢性肾脏病3期")

EMR = {  # ordinary English names, as a team of developers gives them
    "patients": csv("patient_id,mrn,full_name,gender,date_of_birth,city", lambda i:
                    f"{i},MR{i:05},N{i},{'MF'[i % 2]},{born(i)},T{i % 5}", N),
    "encounters": csv("encounter_id,patient_id,encounter_type,admit_time,discharge_time,department", lambda i:
                      f"{7000 + i},{i % N},{('inpatient', 'outpatient')[i % 2]},{day(i)} 08:30:00,{day(i)} 17:00:00,D{i % 4}",
                      STAYS),
    "lab_orders": csv("order_id,encounter_id,ordering_provider,order_time", lambda i:
                      f"{30000 + i},{7000 + i},{i % 7},{day(i)} 09:00:00", STAYS),
    "lab_results": csv("result_id,order_id,loinc_code,test_name,result_value,unit,reference_low,reference_high,result_time",
                       lambda i: f"{i},{30000 + stay(i)},{LOINC[i % 4]},{TESTS[i % 4]},{VALUES[i % 4]},{UNITS[i % 4]},1,"
                       f"100,{day(stay(i))} 11:00:00", RESULTS),
    "diagnoses": csv("diagnosis_id,encounter_id,icd10_code,description,is_primary", lambda i:
                     f"{i},{7000 + i},{ICD[i % 4]},text {i % 4},1", STAYS),
    "medications": csv("medication_id,encounter_id,medication_name,dose,route,start_time,end_time", lambda i:
                       f"{i},{7000 + i},{DRUGS[i % 4]},1,oral,{day(i)} 10:00:00,{day(i)} 16:00:00", STAYS),
}  # fmt: skip

CLARITY = {  # an extract of a reporting database in capitals, with dictionaries behind the numbers
    "PATIENT": csv("PAT_ID,PAT_NAME,BIRTH_DATE,SEX_C,DEATH_DATE,ZIP", lambda i:
                   f"Z{i},N{i},{born(i)} 00:00:00,{1 + i % 2},{'2025-03-01' if i == 3 else ''},{10000 + i}", N),
    "PAT_ENC": csv("PAT_ENC_CSN_ID,PAT_ID,ENC_TYPE,CONTACT_DATE,HOSP_ADMSN_TIME,HOSP_DISCHRG_TIME,DEPARTMENT_ID", lambda i:
                   f"{90000 + i},Z{i % N},{('Hospital Encounter', 'Office Visit')[i % 2]},{day(i)},{day(i)} 08:00:00,"
                   f"{day(i)} 18:00:00,{i % 6}", STAYS),
    "PAT_ENC_DX": csv("PAT_ENC_CSN_ID,LINE,DX_ID,PRIMARY_DX_YN", lambda i: f"{90000 + i},1,{500 + i % 4},Y", STAYS),
    "CLARITY_EDG": csv("DX_ID,DX_NAME,CURRENT_ICD10_LIST", lambda i: f"{500 + i},name {i},{ICD[i]}", 4),
    "ORDER_MED": csv("ORDER_MED_ID,PAT_ID,PAT_ENC_CSN_ID,MEDICATION_ID,ORDERING_DATE,START_DATE,END_DATE", lambda i:
                     f"{i},Z{i % N},{90000 + i},{800 + i % 4},{day(i)},{day(i)},{day(i)}", STAYS),
    "CLARITY_MEDICATION": csv("MEDICATION_ID,NAME,STRENGTH", lambda i: f"{800 + i},{DRUGS[i]},x", 4),
    "ORDER_RESULTS": csv("ORDER_PROC_ID,LINE,PAT_ID,PAT_ENC_CSN_ID,COMPONENT_ID,ORD_NUM_VALUE,REFERENCE_UNIT,RESULT_TIME",
                         lambda i: f"{60000 + i // 2},{1 + i % 2},Z{stay(i) % N},{90000 + stay(i)},{40 + i % 4},"
                         f"{VALUES[i % 4]},{UNITS[i % 4]},{day(stay(i))} 12:00:00", RESULTS),
    "CLARITY_COMPONENT": csv("COMPONENT_ID,NAME,LOINC_CODE", lambda i: f"{40 + i},{TESTS[i]},{LOINC[i]}", 4),
}  # fmt: skip

STAR = {  # facts and dimensions of a data warehouse
    "dim_patient": csv("patient_key,patient_mrn,sex,birth_date", lambda i:
                       f"{i},M{i},{('Male', 'Female')[i % 2]},{born(i)}", N),
    "dim_test": csv("test_key,loinc_code,test_name", lambda i: f"{10 + i},{LOINC[i]},{TESTS[i]}", 4),
    "dim_diagnosis": csv("diagnosis_key,icd_code,diagnosis_description", lambda i: f"{20 + i},{ICD[i]},text {i}", 4),
    "dim_drug": csv("drug_key,atc_code,drug_name", lambda i: f"{30 + i},{ATC[i]},{DRUGS[i]}", 4),
    "fact_encounter": csv("encounter_key,patient_key,encounter_class,start_datetime,end_datetime", lambda i:
                          f"{5000 + i},{i % N},{('emergency', 'inpatient')[i % 2]},{day(i)} 08:00:00,{day(i)} 20:00:00", STAYS),
    "fact_lab": csv("lab_key,patient_key,encounter_key,test_key,result_datetime,numeric_value,units", lambda i:
                    f"{i},{stay(i) % N},{5000 + stay(i)},{10 + i % 4},{day(stay(i))} 10:00:00,{VALUES[i % 4]},{UNITS[i % 4]}",
                    RESULTS),
    "fact_diagnosis": csv("fact_key,patient_key,encounter_key,diagnosis_key,diagnosis_date", lambda i:
                          f"{i},{i % N},{5000 + i},{20 + i % 4},{day(i)}", STAYS),
    "fact_drug": csv("fact_key,patient_key,encounter_key,drug_key,order_datetime,days_supply", lambda i:
                     f"{i},{i % N},{5000 + i},{30 + i % 4},{day(i)} 09:00:00,{7 + i % 9}", STAYS),
}  # fmt: skip

INDIA = {  # a hospital information system of wards and clinics
    "pat_master": csv("uhid,patient_name,gender,dob,mobile_no", lambda i:
                      f"UH{i},N{i},{('Male', 'Female')[i % 2]},{born(i, '{d:02}/{m:02}/{y}')},9{i:09}", N),
    "ip_admission": csv("ip_no,uhid,doa,dod,ward_name", lambda i:
                        f"IP{i},UH{i},{day(i, '{d:02}/{m:02}/{y}')},{day(i, '{d:02}/{m:02}/{y}')},W{i % 3}", N),
    "op_visit": csv("op_no,uhid,visit_date,doctor_name", lambda i:
                    f"OP{i},UH{i},{day(i + N, '{d:02}/{m:02}/{y}')},R{i % 3}", N),
    "lab_report": csv("sample_no,uhid,ip_no,investigation,result,uom,normal_range,reported_on", lambda i:
                      f"S{i},UH{stay(i) % N},IP{stay(i) % N},{TESTS[i % 4]},{VALUES[i % 4]},{UNITS[i % 4]},1-100,"
                      f"{day(stay(i) % N, '{d:02}/{m:02}/{y}')}", RESULTS),
    "patient_diagnosis": csv("sl_no,uhid,ip_no,icd_code,diagnosis,diag_date", lambda i:
                             f"{i},UH{i % N},IP{i % N},{ICD[i % 4]},text {i % 4},{day(i % N, '{d:02}/{m:02}/{y}')}", STAYS),
    "pharmacy_issue": csv("issue_no,uhid,ip_no,drug_name,qty,issue_date", lambda i:
                          f"{i},UH{i % N},IP{i % N},{DRUGS[i % 4]},{5 + i % 5},{day(i % N, '{d:02}/{m:02}/{y}')}", STAYS),
}  # fmt: skip

PINYIN = {  # tables of HIS, LIS and EMR with the first letters of the Chinese words for columns
    "ZY_BRJBXX": csv("BRID,BRXM,XB,CSRQ,LXDH", lambda i: f"{i + 1000},某{i},{'男女'[i % 2]},{born(i)},13{i:09}", N),
    "ZY_BRZYXX": csv("ZYH,BRID,RYRQ,CYRQ,RYKS,CYKS", lambda i:
                     f"ZY{i},{i % N + 1000},{day(i)} 08:00:00,{day(i)} 18:00:00,内科,内科", STAYS),
    "LIS_JYJG": csv("JGID,BRID,ZYH,XMDM,XMMC,JYJG,DW,CKFW,BGRQ", lambda i:
                    f"{i},{stay(i) % N + 1000},ZY{stay(i)},X{i % 4},{ZH_TESTS[i % 4]},{ZH_VALUES[i % 4]},{ZH_UNITS[i % 4]},"
                    f"1-100,{day(stay(i))}", RESULTS),
    "EMR_ZDXX": csv("ZDXH,BRID,ZYH,ZDBM,ZDMC,ZDRQ", lambda i:
                    f"{i},{i % N + 1000},ZY{i},{ICD[i % 4]},{ZH_SICK[i % 4]},{day(i)}", STAYS),
    "ZY_YZXX": csv("YZXH,BRID,ZYH,YPDM,YPMC,YPGG,KSSJ,TZSJ", lambda i:
                   f"{i},{i % N + 1000},ZY{i},Y{i % 4},{ZH_DRUGS[i % 4]},0.5g,{day(i)} 09:00:00,{day(i)} 15:00:00", STAYS),
}  # fmt: skip

INMAIN = {  # a Chinese system with English names: the inpatients' main table, the clinics' register, its orders and results
    "COM_PATIENTINFO": csv("CARD_NO,NAME,SEX_CODE,BIRTHDAY,HOME_TEL", lambda i:
                           f"{i:010},某{i},{'MF'[i % 2]},{born(i)} 00:00:00,13{i:09}", N),
    "FIN_IPR_INMAININFO": csv("INPATIENT_NO,CARD_NO,IN_DATE,OUT_DATE,DEPT_NAME", lambda i:
                              f"ZY01{i:06},{i:010},{day(i)} 08:00:00,{day(i)} 17:00:00,内科", N),
    "FIN_OPR_REGISTER": csv("CLINIC_CODE,CARD_NO,REG_DATE,DEPT_NAME", lambda i:
                            f"{500000 + i},{i:010},{day(i + N)} 08:00:00,内科", N),
    "LIS_RESULT": csv("RESULT_NO,INPATIENT_NO,ITEM_CODE,ITEM_NAME,RESULT,UNIT,REF_RANGE,REPORT_TIME", lambda i:
                      f"{i},ZY01{stay(i) % N:06},X{i % 4},{ZH_TESTS[i % 4]},{ZH_VALUES[i % 4]},{ZH_UNITS[i % 4]},1-100,"
                      f"{day(stay(i) % N)} 12:00:00", RESULTS),
    "MET_COM_DIAGNOSE": csv("HAPPEN_NO,INPATIENT_NO,ICD_CODE,DIAG_NAME,DIAG_DATE", lambda i:
                            f"{i},ZY01{i % N:06},{ICD[i % 4]},{ZH_SICK[i % 4]},{day(i % N)}", STAYS),
    "MET_IPM_ORDER": csv("MO_ORDER,INPATIENT_NO,DRUG_CODE,DRUG_NAME,DATE_BGN,DATE_END", lambda i:
                         f"{i},ZY01{i % N:06},Y{i % 4},{ZH_DRUGS[i % 4]},{day(i % N)} 09:00:00,{day(i % N)} 15:00:00", STAYS),
}  # fmt: skip

ORDINAL = {  # another one, whose visits are counted for each patient by itself
    "PAT_MASTER_INDEX": csv("PATIENT_ID,NAME,SEX,DATE_OF_BIRTH", lambda i: f"M{i},某{i},{'男女'[i % 2]},{born(i)}", N),
    "PAT_VISIT": csv("PATIENT_ID,VISIT_ID,DEPT_ADMISSION_TO,ADMISSION_DATE_TIME,DISCHARGE_DATE_TIME", lambda i:
                     f"M{i % N},{1 + i // N},01,{day(i)} 08:00:00,{day(i)} 18:00:00", STAYS),
    "LAB_TEST_MASTER": csv("TEST_NO,PATIENT_ID,VISIT_ID,REQUESTED_DATE_TIME", lambda i:
                           f"T{i},M{i % N},{1 + i // N},{day(i)} 08:30:00", STAYS),
    "LAB_RESULT": csv("TEST_NO,ITEM_NO,REPORT_ITEM_CODE,REPORT_ITEM_NAME,RESULT,UNITS,RESULT_DATE_TIME", lambda i:
                      f"T{stay(i)},{1 + i // STAYS},X{i % 4},{ZH_TESTS[i % 4]},{ZH_VALUES[i % 4]},{ZH_UNITS[i % 4]},"
                      f"{day(stay(i))} 12:00:00", RESULTS),
    "DIAGNOSIS": csv("PATIENT_ID,VISIT_ID,DIAGNOSIS_NO,DIAGNOSIS_CODE,DIAGNOSIS_DESC,DIAGNOSIS_DATE", lambda i:
                     f"M{i % N},{1 + i // N},1,{ICD[i % 4]},{ZH_SICK[i % 4]},{day(i)}", STAYS),
    "ORDERS": csv("PATIENT_ID,VISIT_ID,ORDER_NO,DRUG_NAME,START_DATE_TIME,STOP_DATE_TIME", lambda i:
                  f"M{i % N},{1 + i // N},1,{ZH_DRUGS[i % 4]},{day(i)} 09:00:00,{day(i)} 15:00:00", STAYS),
}  # fmt: skip

GERMAN = {
    "Patienten": csv("PatientenID;Geschlecht;Geburtsdatum;Sterbedatum", lambda i:
                     f"P{i};{('männlich', 'weiblich')[i % 2]};{born(i, '{d:02}.{m:02}.{y}')};"
                     f"{'31.03.2025' if i == 3 else ''}", N),
    "Aufenthalte": csv("FallID;PatientenID;Aufnahmedatum;Entlassungsdatum;Fallart", lambda i:
                       f"F{i};P{i % N};{day(i, '{d:02}.{m:02}.{y}')};{day(i, '{d:02}.{m:02}.{y}')};"
                       f"{('stationär', 'ambulant')[i % 2]}", STAYS),
    "Diagnosen": csv("DiagnoseID;FallID;ICD_Code;Diagnosetext;Diagnosedatum", lambda i:
                     f"{i};F{i};{ICD[i % 4]};Text {i % 4};{day(i, '{d:02}.{m:02}.{y}')}", STAYS),
    "Laborwerte": csv("LaborID;PatientenID;FallID;Analyt;Messwert;Einheit;Referenzbereich;Abnahmedatum", lambda i:
                      f"{i};P{stay(i) % N};F{stay(i)};{('Glukose', 'Kreatinin', 'Hämoglobin', 'Kalium')[i % 4]};"
                      f"{str(VALUES[i % 4]).replace('.', ',')};{UNITS[i % 4]};1-100;{day(stay(i), '{d:02}.{m:02}.{y}')}",
                      RESULTS),
    "Medikation": csv("VerordnungID;PatientenID;FallID;Wirkstoff;Beginn;Ende", lambda i:
                      f"{i};P{i % N};F{i};{DRUGS[i % 4]};{day(i, '{d:02}.{m:02}.{y}')};{day(i, '{d:02}.{m:02}.{y}')}", STAYS),
}  # fmt: skip

FRENCH = {
    "patients": csv("ipp;sexe;date_naissance;date_deces", lambda i:
                    f"P{i};{'MF'[i % 2]};{born(i, '{d:02}/{m:02}/{y}')};{'31/03/2025' if i == 3 else ''}", N),
    "sejours": csv("num_sejour;ipp;date_entree;date_sortie;service", lambda i:
                   f"S{i};P{i % N};{day(i, '{d:02}/{m:02}/{y}')};{day(i, '{d:02}/{m:02}/{y}')};S{i % 3}", STAYS),
    "diagnostics": csv("id_diag;num_sejour;code_cim10;libelle;date_diagnostic", lambda i:
                       f"{i};S{i};{ICD[i % 4]};Texte {i % 4};{day(i, '{d:02}/{m:02}/{y}')}", STAYS),
    "biologie": csv("id_resultat;ipp;num_sejour;examen;valeur;unite;borne_inf;borne_sup;date_prelevement", lambda i:
                    f"{i};P{stay(i) % N};S{stay(i)};{('Glucose', 'Créatinine', 'Hémoglobine', 'Potassium')[i % 4]};"
                    f"{str(VALUES[i % 4]).replace('.', ',')};{UNITS[i % 4]};1;100;{day(stay(i), '{d:02}/{m:02}/{y}')}", RESULTS),
    "traitements": csv("id_traitement;ipp;num_sejour;medicament;date_debut;date_fin", lambda i:
                       f"{i};P{i % N};S{i};{DRUGS[i % 4]};{day(i, '{d:02}/{m:02}/{y}')};{day(i, '{d:02}/{m:02}/{y}')}", STAYS),
}  # fmt: skip


@dataclass(frozen=True)
class Schema:
    """Tables of an export with the number of patients who died, and the kinds of visits that its names say."""

    tables: Mapping[str, str]
    deaths: int = 0
    kinds: frozenset[int] = frozenset()


INPATIENT, OUTPATIENT, EMERGENCY = 9201, 9202, 9203
SCHEMAS = {
    "emr": Schema(EMR, kinds=frozenset({INPATIENT, OUTPATIENT})),
    "clarity": Schema(CLARITY, 1),
    "star": Schema(STAR, kinds=frozenset({INPATIENT, EMERGENCY})),
    "india": Schema(INDIA, kinds=frozenset({INPATIENT, OUTPATIENT})),
    "pinyin": Schema(PINYIN, kinds=frozenset({INPATIENT})),
    "inmain": Schema(INMAIN, kinds=frozenset({INPATIENT, OUTPATIENT})),
    "ordinal": Schema(ORDINAL),
    "german": Schema(GERMAN, 1, frozenset({INPATIENT, OUTPATIENT})),
    "french": Schema(FRENCH, 1),
}
