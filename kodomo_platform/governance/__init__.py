"""Personal-information law as acts: grounds, consent, requests, deletion, retention, papers, exports, incidents.

Records are kept by `operations`; what a record opens or closes for the pipeline is decided by `policy`, which every
room may ask. Here stand the acts of the offices and the answers to a resident, and the papers made of what really runs.
"""
