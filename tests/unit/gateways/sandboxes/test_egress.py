"""Egress in the words of the SDK, and kept by the server that speaks E2B's protocol."""

import pytest

from gateways.sandboxes.control import SandboxProvider
from gateways.sandboxes.egress import MAX_HOSTS, build_network, parse_refused_hosts
from models.projects.egress import UNRESTRICTED_EGRESS, Egress, EgressMode


def test_everything_leaves_out_private_networks_and_metadata() -> None:
    network = build_network(UNRESTRICTED_EGRESS)
    assert network["allow_internet_access"]
    denied = network["network"]["deny_out"]
    assert isinstance(denied, list)
    assert {"169.254.0.0/16", "168.63.129.16/32", "10.0.0.0/8", "127.0.0.0/8"} <= {*denied}


def test_a_list_is_allowed_and_the_rest_denied() -> None:
    network = build_network(Egress(EgressMode.list, ("example.com",)))
    assert network == {
        "allow_internet_access": True,
        "network": {"allow_out": ["example.com"], "deny_out": ["0.0.0.0/0"]},
    }


@pytest.mark.parametrize("egress", [Egress(EgressMode.off, ("example.com",)), Egress(EgressMode.list)])
def test_off_and_an_empty_list_are_no_internet(egress: Egress) -> None:
    assert build_network(egress) == {"allow_internet_access": False}


@pytest.mark.parametrize("told", ["", "nonsense", "[1]", '{"a": "b"}', "null"])
def test_refusals_that_cannot_be_read_are_none(told: str) -> None:
    assert parse_refused_hosts({"egressRefused": told}) == {}


def test_refusals_are_bounded() -> None:
    many = "{" + ", ".join(f'"{number}{"x" * 500}": 1' for number in range(100)) + "}"
    hosts = parse_refused_hosts({"egressRefused": many})
    assert len(hosts) == MAX_HOSTS
    assert max(map(len, hosts)) == 253


async def test_a_sandbox_reaches_its_list_and_what_it_asked_for_besides_is_told(
    sandboxes: SandboxProvider, marker: dict[str, str]
) -> None:
    egress = Egress(EgressMode.list, ("unknown.invalid",))
    handle = await sandboxes.ensure(marker, template="base", timeout_seconds=60, egress=egress)
    ask = "curl -s -o /dev/null -w '%{http_code} ' --max-time 10 -x $HTTP_PROXY"
    if (await handle.run("command -v curl", timeout_seconds=10)).exit_code != 0:
        pytest.skip("curl is not installed")
    answers = await handle.run(
        f"{ask} http://unknown.invalid; {ask} http://evil.example; {ask} http://evil.example",
        timeout_seconds=60,
    )
    assert answers.stdout.split() == ["502", "403", "403"]
    facts = await sandboxes.look_up(handle.id)
    assert facts is not None
    assert facts.refused == {"evil.example": 2}
    await sandboxes.kill_all(marker)


async def test_a_sandbox_has_the_size_that_was_asked_for(
    sandboxes: SandboxProvider, marker: dict[str, str]
) -> None:
    size = {"memoryMb": 512, "cpuCount": 1}
    handle = await sandboxes.ensure(marker, template="base", timeout_seconds=60, size=size)
    facts = await sandboxes.look_up(handle.id)
    assert facts is not None
    assert (facts.memory_mb, facts.cpu_count) == (512, 1)
    assert (await handle.run("nproc; ulimit -d", timeout_seconds=10)).stdout.split() == ["1", str(512 << 10)]
    await sandboxes.kill_all(marker)
