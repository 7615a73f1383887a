"""What may be held and used on a day, for which purpose: decided once, from the catalogue, a town's file and its records.

Every room that reads or loads personal data asks here. The records themselves are kept by `operations`; the acts that
change them belong to `governance`.
"""
