"""Pages as GitHub cuts them: `page`, `per_page` and a Link header."""

from collections.abc import Sequence
from typing import Annotated, TypeVar

from fastapi import Depends, Request, Response

T = TypeVar("T")
MAX_PAGE_SIZE = 100


class PageQuery:
    """The page asked for; like GitHub it corrects what makes no sense instead of refusing it."""

    def __init__(self, request: Request, response: Response, page: str = "1", per_page: str = "30") -> None:
        self._request = request
        self._response = response
        self.page = parse_positive(page) or 1
        self.limit = min(parse_positive(per_page) or 30, MAX_PAGE_SIZE)

    @property
    def offset(self) -> int:
        """How many items come before this page."""
        return (self.page - 1) * self.limit

    def cut(self, items: Sequence[T]) -> list[T]:
        """This page of a list that is whole in memory, with its Link header."""
        self.link(len(items))
        return list(items[self.offset : self.offset + self.limit])

    def link(self, total: int) -> None:
        """Says which pages there are, unless there is one."""
        last = max(1, -(-total // self.limit))
        pages = {"prev": min(self.page - 1, last), "next": self.page + 1, "last": last, "first": 1}
        if self.page >= last:
            del pages["next"], pages["last"]
        if self.page == 1:
            del pages["prev"], pages["first"]
        if pages:
            self._response.headers["Link"] = ", ".join(
                f'<{self._request.url.include_query_params(page=number)}>; rel="{relation}"'
                for relation, number in pages.items()
            )


def parse_positive(text: str) -> int:
    """The number in the text, 0 for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


Page = Annotated[PageQuery, Depends()]
