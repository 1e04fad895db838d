"""Plausible token counts: a token is four characters, and a prompt cache keeps what it was asked to."""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass

from local.model.requests import CacheableBlock, CountRequest

CHARACTERS_PER_TOKEN = 4
MAX_CACHED_PREFIXES = 20_000
IMAGE_TOKENS = 1_600
"""Of an image, whatever its size: the largest that is not scaled down takes about as many."""


@dataclass(frozen=True)
class InputTokens:
    fresh: int
    cache_read: int
    cache_creation: int

    @property
    def all(self) -> int:
        return self.fresh + self.cache_read + self.cache_creation


class PromptCache:
    """Prefixes (tools, then system, then messages) that ended at a `cache_control` mark earlier.

    As at Anthropic a later mark finds a shorter prefix kept earlier.  Unlike there, no prefix is too
    short to keep and none expires after five minutes; the oldest leave when there are too many.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[str, None] = OrderedDict()

    def count(self, request: CountRequest) -> InputTokens:
        """Split the request's tokens into read, written and fresh ones, and keep its marked prefixes."""
        digest, tokens, read, written = hashlib.sha256(request.model.encode()), 0, 0, 0
        marked: list[str] = []
        parts = _parts(request)
        for position, (part, is_marked) in enumerate(parts):
            digest.update(part.encode())
            tokens += _count(part)
            if digest.hexdigest() in self._kept:
                read = tokens
            if is_marked or (request.cache_control is not None and position == len(parts) - 1):
                written = tokens
                marked.append(digest.hexdigest())
        read = min(read, written)
        for prefix in marked:
            self._kept[prefix] = None
            self._kept.move_to_end(prefix)
        while len(self._kept) > MAX_CACHED_PREFIXES:
            self._kept.popitem(last=False)
        return InputTokens(
            fresh=tokens - max(written, read), cache_read=read, cache_creation=max(written - read, 0)
        )


def count_tokens(text: str) -> int:
    return max(1, len(text) // CHARACTERS_PER_TOKEN) if text else 0


def input_tokens(request: CountRequest) -> int:
    return sum(_count(part) for part, _ in _parts(request))


def _count(part: str) -> int:
    return IMAGE_TOKENS if part.startswith('{"type":"image"') else count_tokens(part)


def _parts(request: CountRequest) -> list[tuple[str, bool]]:
    """Every part of the prompt in cache order, with whether a `cache_control` mark ends there."""
    blocks = [*request.system_blocks, *(block for turn in request.turns for block in turn.content)]
    items: list[CacheableBlock] = [*request.tools, *blocks]
    marks = [item.cache_control is not None for item in items]
    texts = [item.model_dump_json(exclude={"cache_control"}, exclude_none=True) for item in items]
    return list(zip(texts, marks, strict=True))
