"""What a search found as one page to look at: pictures with times, each a link to its moment. It needs no other file.

Names, texts and addresses come from people's disks and command lines; all of them are escaped.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from common.data.pictures import read_image
from multimodal_ssl.search.clock import clock
from multimodal_ssl.search.index import JPEG_QUALITY

MOST_PX = 640  # of the longer side of a picture
STYLE = """
:root{color-scheme:light dark;--faint:#767676}
body{font:16px/1.4 system-ui,sans-serif;margin:2rem auto;max-width:75rem;padding:0 1rem}
h1{font-size:1.3rem}h2{font-size:1.1rem;margin:2rem 0 .5rem}
ol{display:grid;gap:1.2rem;grid-template-columns:repeat(auto-fill,minmax(20rem,1fr));list-style:none;padding:0}
a{color:inherit}img{display:block;max-width:100%;border-radius:4px}
.asked{max-height:8rem}.name{overflow-wrap:anywhere}.told,.note{color:var(--faint);font-size:.85rem}
"""


def page(reports: Sequence[dict[str, Any]]) -> str:
    """HTML of some searches, as the tool reports them.

    Raises:
        OSError: a picture of the index that is gone.
    """
    titles = " · ".join(_asked(report) for report in reports)
    parts = "\n".join(_search(report) for report in reports)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{_text(titles)}</title>
<style>{STYLE}</style>
</head>
<body>
<h1>{_text(titles)}</h1>
{parts}
</body>
</html>
"""


def _asked(report: dict[str, Any]) -> str:
    return str(report.get("text") or Path(report["like"]).name)


def _search(report: dict[str, Any]) -> str:
    asked = (
        f'<img class="asked" alt="" src="{_picture(Path(report["like"]))}">\n' if report.get("like") else ""
    )
    notes = "".join(f'<p class="note">{_text(note)}</p>\n' for note in report["notes"])
    hits = "\n".join(_hit(hit) for hit in report["found"])
    told = f"best of {report['windows']} windows, by {report['model']}; {report['score_is']}"
    return f"""<section>
<h2>{_text(_asked(report))}</h2>
{asked}{notes}<ol>
{hits}
</ol>
<p class="told">{_text(told)}</p>
</section>"""


def _hit(hit: dict[str, Any]) -> str:
    video = Path(hit["video"])
    # A player that knows media fragments starts at the moment and stops after it.
    address = f"{video.absolute().as_uri()}#t={hit['start_s']:g},{hit['stop_s']:g}"
    times = f"{clock(hit['start_s'])} to {clock(hit['stop_s'])}"
    return (
        f'<li><a href="{_text(address)}"><img alt="{_text(f"{video.name} at {times}")}" '
        f'src="{_picture(Path(hit["picture"]))}"></a>'
        f'<a class="name" href="{_text(address)}">{_text(video.name)}</a><br>'
        f'{times} <span class="told">{hit["score"]:.3f}</span></li>'
    )


def _text(text: str) -> str:
    """File names need not be UTF-8, which a page is."""
    return html.escape(text.encode("utf-8", "backslashreplace").decode())


def _picture(path: Path) -> str:
    """A JPEG small enough for a page, as an address that holds it."""
    from PIL import Image

    shown, out = Image.fromarray(read_image(path)), io.BytesIO()
    shown.thumbnail((MOST_PX, MOST_PX))
    shown.save(out, "jpeg", quality=JPEG_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(out.getvalue()).decode()}"
