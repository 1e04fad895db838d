"""How far sandboxes reach: by what they are for, never further than the project says."""

import pytest
from pydantic import ValidationError

from models.projects.egress import Egress, EgressMode, EgressPolicy
from models.sandboxes.sandbox import SandboxPurpose

WORK, CHECK = SandboxPurpose.work, SandboxPurpose.verification


@pytest.mark.parametrize(
    ("job_id", "purpose", "expected"),
    [
        ("r_1", WORK, "everything"),
        ("mj_1", WORK, "everything"),
        ("sj_1", WORK, "everything"),
        ("r_1", CHECK, "list"),
        ("mj_1", CHECK, "list"),
        ("is_1", WORK, "list"),
        ("as_1", WORK, "list"),
    ],
)
def test_checks_and_scans_reach_the_list_by_default(
    job_id: str, purpose: SandboxPurpose, expected: str
) -> None:
    policy = EgressPolicy(hosts=["*.example.com"])
    assert policy.egress(job_id, purpose, None) == Egress(EgressMode(expected), ("*.example.com",))


@pytest.mark.parametrize("asked", EgressMode)
@pytest.mark.parametrize("allowed", EgressMode)
def test_a_blueprint_narrows_and_never_widens(allowed: EgressMode, asked: EgressMode) -> None:
    order = [*EgressMode]
    reached = EgressPolicy(work=allowed).egress("r_1", WORK, asked).mode
    assert order.index(reached) == min(order.index(allowed), order.index(asked))


@pytest.mark.parametrize("host", ["example.com", "*.example.com", "a-b.c1.example", "xn--bcher-kva.example"])
def test_hosts_are_names_or_all_names_below_one(host: str) -> None:
    assert EgressPolicy(hosts=[host]).hosts == [host]


@pytest.mark.parametrize(
    "host",
    [
        "",
        "*",
        "*.com.",
        "localhost",
        "EXAMPLE.com",
        "https://example.com",
        "example.com:443",
        "a..example",
        "10.0.0.1",
        "169.254.169.254",
        "0.0.0.0/0",
        "a.*.example",
        "-a.example",
        "a_b.example",
        "example.com\n",
        "a" * 250 + ".example",
    ],
)
def test_anything_else_is_no_host(host: str) -> None:
    with pytest.raises(ValidationError):
        EgressPolicy(hosts=[host])
