"""Every figure the digital twins are calibrated to, each beside the public source it comes from.

Only numbers live here. Where a source gives a national figure, it is used for every municipality: the twins are there
to exercise the platform, not to say anything about a real place.
"""

from __future__ import annotations

from typing import Final

# Toda city FY2022: about 12,000 pupils, about 2.6 % of them absent 30 days or more in a school year
# (Digital Agency progress report 2022-12-20; MEXT "問題行動・不登校調査" counts 30 days as school refusal).
SCHOOL_REFUSAL_PER_YEAR: Final = 0.026
# A window of two school years sees more children than one year does; see `needs.window_rate`.

# MEXT, 就学援助実施状況等調査 (FY2022): 13.7 % of pupils are needy or quasi-needy.
SCHOOL_AID: Final = 0.14
SCHOOL_AID_NEEDY_SHARE: Final = 0.09  # 要保護 among them, same survey

# MHLW 地域保健・健康増進事業報告 (FY2021): 95.4 % (4 months), 95.2 % (18 months), 94.6 % (3 years) attend.
CHECKUP_TAKEN: Final = 0.95

# MHLW 国民生活基礎調査 2022: households with children by number of children (49.3 / 38.0 / 12.7 %),
# single-parent households about 9 % (wider reading: with children under 20, other relatives present).
CHILDREN_PER_HOUSEHOLD: Final = (0.49, 0.38, 0.11, 0.02)
SINGLE_PARENT: Final = 0.09
# MHLW 全国ひとり親世帯等調査 2021: 1,195,000 mother-led, 149,000 father-led households.
SINGLE_MOTHER_SHARE: Final = 0.89
# Same survey: about 30 % of separated fathers see their children regularly; two addresses for the child are rarer.
JOINT_CUSTODY_OF_SINGLE: Final = 0.15

# Vital statistics 2022: multiple deliveries are about 1.0 % of deliveries.
TWIN_DELIVERIES: Final = 0.010

# Immigration Services Agency, end of 2023: 3,410,992 foreign residents, 2.7 % of the population.
FOREIGN_HOUSEHOLDS: Final = 0.027
FOREIGN_ALIAS: Final = 0.3

# Children and Families Agency, 要対協 (2022): about 1–1.5 % of children are in case management.
CASE_MANAGEMENT: Final = 0.012
# Same source (児童相談対応件数 FY2022, 219,170 reports on 17.5 million children), and municipal ones about as many.
CONSULTATION_PER_YEAR: Final = 0.02

# MHLW 被保護者調査 2022: 1.6 % of persons.
PUBLIC_ASSISTANCE: Final = 0.016
# MHLW 生活のしづらさ調査 2016 (physical 3.4 %, intellectual 0.9 %, mental 3.3 % of persons; lower among the young).
DISABILITY_ADULT: Final = 0.03
DISABILITY_CHILD: Final = 0.018

# MHLW 福祉行政報告例: 児童扶養手当 about 820,000 recipients of 1.34 million single-parent households.
CHILD_REARING_ALLOWANCE: Final = 0.62

# MHLW 待機児童 とりまとめ 2023: use of childcare at age 0 / 1–2 / 3 and over (17.0 / 57.8 / 53–60 % and kindergartens).
CHILDCARE_USE: Final = (0.17, 0.57, 0.59, 0.75, 0.75, 0.75, 0.75)

# Basic Resident Register Population Movement Report 2022: about 4 % of persons a year cross a municipal border,
# 2 % move inside; families with children are at about half of that.
MOVED_IN_PER_YEAR: Final = 0.022
MOVED_OUT_PER_YEAR: Final = 0.018
MOVED_WITHIN_PER_YEAR: Final = 0.025
RETURNED: Final = 0.004
# Vital statistics 2022: 94,500 couples with minor children divorced (164,000 children of 17.5 million: 0.9 % a year).
SURNAME_CHANGED_PER_YEAR: Final = 0.008
# 支援措置: 84,000 households nationwide (MIC, 2022) of 60 million, ten times as many among those with children here.
PROTECTION_MEASURE: Final = 0.003

# School Basic Survey 2023: elementary 1.3 %, lower secondary 7.7 % attend private or national schools.
NOT_IN_MUNICIPAL_SCHOOL: Final = 0.034
# MEXT 就学校の指定の変更と区域外就学 2022: well under 1 % of pupils; with 2.5x in the hard setting about 2–4 % of records.
NOT_IN_REGISTER: Final = 0.012
HOSPITAL_FROM_ELSEWHERE: Final = 0.12

# Young carers survey (MHLW 2020/2021): 6.5 % of 6th graders, 5.7 % of 8th graders care for family; support found
# necessary for a fraction. The same order is taken for the themes that have no official figure.
NEED_IN_WINDOW: Final[dict[str, float]] = {
    "young_carer": 0.035,
    "family_mind": 0.035,
    "hospital_flag": 0.02,
    "high_risk": 0.03,
    "abuse": 0.010,
    "hidden_hardship": 0.035,
}
# Share of true needs that anyone records: the label noise of a real register.
OBSERVED: Final = 0.85
# Correlation of the liability to an outcome with the latent need: gives an oracle AUC of 0.85–0.9.
LATENT_CORRELATION: Final = 0.62

# How much of each corruption the three qualities get.
QUALITY_FACTOR: Final[dict[str, float]] = {"clean": 0.0, "typical": 1.0, "bad": 2.5}
