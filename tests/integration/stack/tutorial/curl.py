"""As much of curl's command line as the texts use, for a machine that has no curl.

Run as a script: nothing of this repository can be imported.  It waits as long as whoever runs it.
"""

import argparse
import sys
from pathlib import Path

import httpx

FORM = "application/x-www-form-urlencoded"


def main() -> None:
    parser = argparse.ArgumentParser(prog="curl", allow_abbrev=False)
    parser.add_argument("-X", "--request", metavar="METHOD")
    parser.add_argument("-H", "--header", action="append", default=[], metavar="'NAME: VALUE'")
    parser.add_argument("-d", "--data")
    parser.add_argument("--dump-header", type=Path, metavar="FILE")
    parser.add_argument("url")
    given = parser.parse_args()
    headers = httpx.Headers({"User-Agent": "curl", "Accept": "*/*"})
    if given.data is not None:
        headers["Content-Type"] = FORM
    for header in given.header:
        name, value = header.split(": ", 1)
        headers[name] = value
    method = given.request or ("GET" if given.data is None else "POST")
    answer = httpx.request(
        method, given.url, headers=headers, content=given.data, timeout=None, trust_env=False
    )
    if given.dump_header is not None:
        lines = [f"{answer.http_version} {answer.status_code} {answer.reason_phrase}"]
        lines += [f"{name}: {value}" for name, value in answer.headers.items()]
        given.dump_header.write_bytes("\r\n".join([*lines, "", ""]).encode("latin-1"))
    sys.stdout.buffer.write(answer.content)


if __name__ == "__main__":
    main()
