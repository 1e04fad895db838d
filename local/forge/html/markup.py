"""Building HTML out of text that is always escaped: only what these functions return is markup."""

from html import escape

from fastapi.responses import HTMLResponse

MAX_LINES = 3000  # of one file's diff; the rest is for git
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.6rem } h2 { font-size: 1.1rem; margin-top: 2rem; border-bottom: 1px solid #d1d9e0 }
code, pre { font: 13px/1.45 ui-monospace, monospace }
pre { border: 1px solid #d1d9e0; border-radius: 6px; padding: .75rem; overflow-x: auto }
pre.text { font: inherit; white-space: pre-wrap; overflow-wrap: anywhere }
b { border-radius: 1em; padding: .1em .7em; margin: 0 .4em; color: #fff; background: #59636e }
b.open { background: #1a7f37 } b.merged { background: #8250df } b.closed { background: #cf222e }
ins, del, i { display: block; text-decoration: none; font-style: normal }
ins { background: #dafbe1 } del { background: #ffebe9 } i { background: #ddf4ff }
"""
POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; frame-ancestors 'none'"


class Html(str):
    """Markup, as opposed to text."""

    __slots__ = ()


def tag(name: str, *content: str, kind: str = "") -> Html:
    """An element; plain strings in it are escaped, `Html` is not."""
    inner = "".join(part if isinstance(part, Html) else escape(part) for part in content)
    return Html(f'<{name} class="{escape(kind)}">{inner}</{name}>' if kind else f"<{name}>{inner}</{name}>")


def link(address: str, words: str) -> Html:
    """A link; the address is a path of ours."""
    return Html(f'<a href="{escape(address)}">{escape(words)}</a>')


def unordered_list(items: list[Html]) -> Html:
    """A list, or a word that there is nothing."""
    return tag("ul", *items) if items else tag("p", "None.")


def lines(text: str) -> Html:
    """Text as it was written, wrapped."""
    return tag("pre", text, kind="text")


def diff(path: str, previous: str | None, patch: str | None) -> Html:
    """One file's changes."""
    name = f"{previous} → {path}" if previous else path
    if patch is None:
        return Html(tag("h3", name) + tag("p", "Binary or unchanged content."))
    shown = patch.split("\n")
    kinds = {"+": "ins", "-": "del", "@": "i"}
    rows = [
        tag(kinds[line[0]], line) if line[:1] in kinds else Html(escape(line) + "\n")
        for line in shown[:MAX_LINES]
    ]
    rest = len(shown) - MAX_LINES
    return Html(tag("h3", name) + tag("pre", *rows, *([f"… {rest} more lines"] if rest > 0 else [])))


def document(title: str, *parts: Html) -> HTMLResponse:
    """A whole page, which may run nothing and load nothing."""
    body = "".join((tag("h1", title), *parts))
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width">{tag("title", title)}'
    return HTMLResponse(
        f'<!doctype html><html lang="en"><head>{head}<style>{STYLE}</style></head><body>{body}</body></html>',
        headers={
            "Content-Security-Policy": POLICY,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
        },
    )
