"""The frame of an HTML file that needs no other, and asks nothing of a network."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from ecotf.reports.text import quoted


def html_page(title: str, body: str) -> str:
    """Put a body into a page with the style and the script of reports.

    Parameters
    ----------
    title
        Plain text.
    body
        HTML, in which names of users are escaped already (`ecotf.reports.text`).
    """
    here = Path(__file__).parent
    style, script = ((here / f"page.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    # The browser runs this one script and fetches nothing, whatever the names in the data are.
    policy = (
        "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"/>'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}"/>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"/><title>{quoted(title)}</title>'
        f"<style>{style}</style></head><body><main>{body}</main><script>{script}</script></body></html>\n"
    )
