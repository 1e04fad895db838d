"""The fault table in its short form: every fault once, with few tries and short outages; nothing is lost."""

import time
from pathlib import Path

import pytest

from tests.chaos import faults
from tests.chaos.fault import FAULTS
from tests.chaos.fault_table import Results, Row, Scope, Table, chosen
from tests.chaos.report import fault_list, markdown
from tests.support.stack import Servers

assert faults.__name__  # their import fills the table
MINUTES = 3.0
"""After which no round is begun any more; what is left is skipped, and said so."""


def fresh() -> Results:
    return Results(commit="this", command="make soak", seed=int(time.time()), began_at=time.time())


@pytest.fixture(scope="module")
async def results(parts: Servers, tmp_path_factory: pytest.TempPathFactory) -> Results:
    results = fresh()
    scope = Scope(
        faults=[*FAULTS.values()],
        rounds=1,
        runs=0,
        deadline=time.monotonic() + MINUTES * 60,
        scale=0.25,
        patience=240,
        together=3,
        most_tries=1,
    )
    directory = tmp_path_factory.mktemp("faults")
    await Table(parts, scope, results, directory, lambda *_: None, save=lambda: None).play()
    return results


@pytest.mark.soak
@pytest.mark.parametrize("name", FAULTS)
async def test_nothing_is_lost_or_done_twice(results: Results, name: str) -> None:
    row = results.rows.get(name)
    if row is None or not row.rounds:
        pytest.skip("the time was over before it was played")
    assert row.words == []
    assert row.tries > 0


@pytest.mark.soak
async def test_no_sandbox_and_no_server_holds_a_secret(results: Results) -> None:
    assert results.leaks == []


def test_every_fault_says_what_happens() -> None:
    assert len(FAULTS) > 50
    assert all(fault.sentence.endswith(".") and len(fault.sentence) < 110 for fault in FAULTS.values())
    assert len([*fault_list()]) == len(FAULTS)


def test_faults_are_chosen_by_the_beginnings_of_their_names() -> None:
    names = [fault.name for fault in chosen(["partition-api"])]
    assert names == ["nothing", "partition-api-postgres", "partition-api-temporal"]
    with pytest.raises(KeyError, match="nonsense"):
        chosen(["nonsense"])


def test_results_are_kept_and_a_table_goes_on_with_them(tmp_path: Path) -> None:
    results, file = fresh(), tmp_path / "some" / "results.json"
    assert Results.load(file) is None
    for name, seconds in (("nothing", 3.0), ("api-killed", 5.5)):
        results.rows[name] = Row(fault=name, rounds=1, tries=4, longest=seconds)
    results.save(file)
    assert Results.load(file) == results
    assert markdown(results).splitlines()[-1].endswith("| 4 | 0 | 0 | 0 | 2.5 s |")
