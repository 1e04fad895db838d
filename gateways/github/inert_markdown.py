"""Markdown that others wrote, for a page of GitHub where it may do nothing but be read."""

import re
from typing import Final

_ZERO_WIDTH_SPACE: Final = "\u200b"
_ACTIVE_MARKUP: Final = re.compile(
    r"""
      @ (?=\w)                        # a mention, or an address of mail
    | \# (?=\d) | \b GH- (?=\d)       # another issue, which `fixes` before it would close
    | : (?=\\*/)                      # an address, as in https://
    | \b www (?=\.)
    | \] (?=[(\[:])                   # a link or an image, its reference, and where that leads
    | < (?=[\w/!?])                   # HTML, comments as we mark our own sections with, and <https://…>
    | & (?=[\w\#])                    # a character by its name, which would be any of these
    """,
    re.VERBOSE | re.IGNORECASE,
)


def neutralize_markdown(text: str) -> str:
    """The text without live links, images, mentions, references to issues and HTML; it looks the same.

    A space without width stands in each of them, also in code, as what is code is GitHub's to say.
    """
    return _ACTIVE_MARKUP.sub(lambda found: found[0] + _ZERO_WIDTH_SPACE, text)
