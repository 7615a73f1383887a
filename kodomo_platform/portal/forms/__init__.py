"""Forms as PDF by Typst: fonts shipped, PDF/A, the same bytes for the same data; printing is a look.

Data reach the template as JSON and are set as text: nothing that a source or a person wrote is ever markup. Every form
carries its serial number and who printed it, when and for what.
"""

from __future__ import annotations

import hashlib
import json
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kodomo_platform.errors import FormError

_HERE = Path(__file__).parent
KINDS = {"child": "個票", "plan": "サポートプラン", "register": "台帳"}
_compilers: dict[str, Any] = {}
_guard = threading.Lock()


def render(kind: str, data: dict[str, Any], *, at: datetime) -> bytes:
    """The PDF (PDF/A-2b) of one form. ``at`` is printed and written into the file: equal data give equal bytes.

    Raises:
        FormError: the template and the data do not fit; the data are not repeated in the message.
    """
    import pylopdf_fonts_cjk
    import typst

    with _guard:
        if kind not in _compilers:
            _compilers[kind] = typst.Compiler(
                input=str(_HERE / f"{kind}.typ"),
                root=str(_HERE),
                font_paths=[str(Path(pylopdf_fonts_cjk.__file__).parent)],
                ignore_system_fonts=True,
            )
        try:
            made = _compilers[kind].compile(
                format="pdf",
                sys_inputs={"data": json.dumps(data, ensure_ascii=False, sort_keys=True, default=str)},
                pdf_standards=["a-2b"],
                timestamp=int(at.astimezone(UTC).timestamp()),
            )
        except RuntimeError as error:
            raise FormError(
                "the form could not be set", where=KINDS.get(kind, kind), action="tell those who run the platform"
            ) from error
    return bytes(made)


def sha256(content: bytes) -> str:
    """Hash of a form's bytes."""
    return hashlib.sha256(content).hexdigest()
