"""Figures of other papers beside the verdicts that they bear on."""

from __future__ import annotations

from collections.abc import Sequence

from common.anchors import Anchor
from common.report.tables import Cell, ClaimRow, Table

TITLE = "What others found"
CAPTION = "Figures of other papers under their own conditions; they decide nothing here."


def anchor_tables(anchors: Sequence[Anchor], rows: Sequence[ClaimRow]) -> list[Table]:
    """A row a figure: the claim, what others found, whether that speaks for it, and the word here at each scale.

    No table where no figure bears on a claim of the rows.
    """
    says = {row.claim.id: row.claim.says for row in rows}
    cells = [
        [
            Cell(says[anchor.claim]),
            Cell(anchor.figure),
            Cell(anchor.place, "", anchor.read if anchor.read != "read" else "", link=anchor.url),
            Cell(anchor.agrees),
            Cell(_words(anchor.claim, rows)),
        ]
        for anchor in anchors
        if anchor.claim in says
    ]
    if not cells:
        return []
    return [Table(TITLE, ("claim", "others found", "where", "agrees with the claim", "here"), cells, CAPTION)]


def _words(claim: str, rows: Sequence[ClaimRow]) -> str:
    found = [
        (row.scale, verdict.word) for row in rows if row.claim.id == claim and (verdict := row.published)
    ]
    return ", ".join(f"{word} ({scale})" for scale, word in found) or "not run"
