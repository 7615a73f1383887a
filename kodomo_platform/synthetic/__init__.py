"""Digital twins: municipalities with known truth, written in the formats and with the faults of real systems.

Only rehearsal data is made here. The pipeline never reads the truth files; evaluation and tests do.
"""

from __future__ import annotations

from kodomo_platform.synthetic.generation import SynthReport, generate
from kodomo_platform.synthetic.writing import write_date

__all__ = ["SynthReport", "generate", "write_date"]
