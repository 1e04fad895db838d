"""The published texts, word for word; code fences and heading marks are all that was added to them."""

import re
from pathlib import Path

HEADING_OR_SNIPPET = re.compile(
    r"^#+ (?P<heading>[^\n]+)$|^```(?P<language>\w+)\n(?P<code>.*?)^```$", re.M | re.S
)


def snippets(name: str) -> dict[tuple[str, str], str]:
    """Every snippet of a text, in its order, by its section and its language."""
    found: dict[tuple[str, str], str] = {}
    section = ""
    for match in HEADING_OR_SNIPPET.finditer(Path(__file__).with_name(name).read_text(encoding="utf-8")):
        if match["heading"]:
            section = match["heading"]
            continue
        assert (section, match["language"]) not in found, f"{name}: two {match['language']} under {section}"
        found[section, match["language"]] = match["code"]
    return found


def filled(code: str, values: dict[str, str]) -> str:
    """A snippet with what the text leaves open; the longest first, as `abc...` is the end of `r_abc...`."""
    for placeholder in sorted(values, key=len, reverse=True):
        code = code.replace(placeholder, values[placeholder])
    return code
