"""Small charts in Markdown for asset metadata: counts only, never a person."""

from collections.abc import Mapping

_WIDTH = 24


def share_chart(counts: Mapping[str, int]) -> str:
    """A bar per name, as a Markdown table; bars are shares of the whole."""
    total = sum(counts.values()) or 1
    rows = [
        f"| {name} | {count:,} | {'█' * round(_WIDTH * count / total) or '▏'} {100 * count / total:.1f} % |"
        for name, count in counts.items()
    ]
    return "\n".join(["| | 件数 | 割合 |", "|---|--:|:--|", *rows])
