"""Every way in which a model turn fails becomes the error that says what to do about it."""

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from gateways.anthropic.client import ContextTooLong, MessagesClient, TurnCut
from gateways.anthropic.errors import retry_after
from gateways.errors import CredentialRefused, GatewayError, ProviderLimit, UpstreamRefused
from tests.support.wire_server import (
    START,
    STOP,
    Event,
    WireResponse,
    WireServer,
    api_error,
    run_wire_server,
    status,
    stop_events,
    stream,
    text_block,
    tool_use_block,
)
from tests.unit.gateways.agent.test_messages_client import KEY, ask, request


async def failure(*answers: WireResponse) -> GatewayError:
    async with run_wire_server(*answers) as wire:
        with pytest.raises(GatewayError) as failed:
            await ask(wire)
        assert len(wire.bodies) == 1, "the SDK must not retry by itself"
    assert KEY not in str(failed.value)
    assert failed.value.__cause__ is None
    return failed.value


@pytest.mark.parametrize(
    ("code", "kind", "words", "expected"),
    [
        (401, "authentication_error", "invalid x-api-key", CredentialRefused),
        (403, "permission_error", "not allowed", CredentialRefused),
        (400, "invalid_request_error", "prompt is too long: 208310 tokens > 200000 maximum", ContextTooLong),
        (
            400,
            "invalid_request_error",
            "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000",
            ContextTooLong,
        ),
        (413, "request_too_large", "Request exceeds the maximum size", ContextTooLong),
        (400, "invalid_request_error", "messages.1: unexpected `tool_use_id`", UpstreamRefused),
        (400, "invalid_request_error", "Your credit balance is too low", UpstreamRefused),
        (402, "billing_error", "pay first", UpstreamRefused),
        (404, "not_found_error", "model: claude-nine", UpstreamRefused),
        (408, "timeout_error", "took too long", TurnCut),
        (500, "api_error", "Internal server error", TurnCut),
        (502, "api_error", "Bad gateway", TurnCut),
        (503, "api_error", "Unavailable", TurnCut),
        (504, "timeout_error", "Gateway timeout", TurnCut),
        (429, "rate_limit_error", "slow down", ProviderLimit),
        (529, "overloaded_error", "Overloaded", ProviderLimit),
    ],
)
async def test_a_status_is_named(code: int, kind: str, words: str, expected: type[GatewayError]) -> None:
    error = await failure(status(code, api_error(kind, words)))
    assert type(error) is expected
    assert str(code) in error.message
    assert words in error.message
    assert getattr(error, "retry_after", None) is None


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("overloaded_error", ProviderLimit),
        ("rate_limit_error", ProviderLimit),
        ("api_error", TurnCut),
        ("timeout_error", TurnCut),
        ("something_new", TurnCut),
        ("invalid_request_error", UpstreamRefused),
        ("authentication_error", CredentialRefused),
    ],
)
async def test_an_error_inside_the_stream_is_named_too(kind: str, expected: type[GatewayError]) -> None:
    events: list[Event] = [START, *text_block(0, "so far")]
    error = await failure(stream(*events, api_error(kind, "said in the stream")))
    assert type(error) is expected
    assert "said in the stream" in error.message
    assert getattr(error, "retry_after", None) is None


@pytest.mark.parametrize("code", [429, 529, 503])
@pytest.mark.parametrize("form", ["seconds", "date"])
async def test_a_limit_says_how_long_to_wait(code: int, form: str) -> None:
    then = format_datetime(datetime.now(UTC) + timedelta(seconds=37), usegmt=True)
    header = "37" if form == "seconds" else then
    error = await failure(status(code, api_error("rate_limit_error", "wait"), retry_after=header))
    assert isinstance(error, ProviderLimit)
    assert error.retry_after is not None
    assert 30 <= error.retry_after <= 37


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0.5", 0.5),
        ("-3", 0.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("", None),
        ("Wed, 21 Oct 2015 07:28:00", None),
    ],
)
def test_any_retry_after_is_understood_or_ignored(header: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": header}) == seconds


async def test_the_key_never_comes_back_in_a_message() -> None:
    error = await failure(status(400, api_error("invalid_request_error", f"bad header Bearer {KEY}!")))
    assert "[secret]" in error.message
    events = [START, *tool_use_block(0, "bash", f"{{]{KEY}"), *stop_events("tool_use")]
    assert "[secret]" in (await failure(stream(*events))).message

    async def no_http(writer: asyncio.StreamWriter) -> None:
        writer.write(f"{KEY} is no status line\r\n\r\n".encode())

    assert "[secret]" in (await failure(no_http)).message
    page = await failure(status(500, f"<html>{KEY}{'x' * 5_000}</html>"))
    assert "[secret]" in page.message
    assert len(page.message) < 1_200


MALFORMED: dict[str, list[Event | str]] = {
    "an event that is not JSON": [START, 'event: content_block_delta\ndata: {"type":"content_\n\n'],
    "a delta of no block": [START, *text_block(0, "x")[1:]],
    "a stop before the start": [STOP],
    "a start that is empty": [{"type": "message_start"}, *stop_events("end_turn")],
    "a delta that is empty": [START, text_block(0)[0], {"type": "content_block_delta", "index": 0}],
    "a call that is not JSON": [START, *tool_use_block(0, "bash", "{]}"), *stop_events("tool_use")],
    "a call without a name": [
        START,
        {"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "input": {}}},
        *stop_events("tool_use"),
    ],
}


@pytest.mark.parametrize("what", sorted(MALFORMED))
async def test_a_malformed_stream_cuts_the_turn(what: str) -> None:
    error = await failure(stream(*MALFORMED[what]))
    assert type(error) is TurnCut
    assert "malformed" in error.message


@pytest.mark.parametrize(
    "events", [[], [START], [START, *text_block(0, "half of")], [START, *stop_events("end_turn")[:1]]]
)
async def test_a_stream_that_ends_early_cuts_the_turn(events: list[Event]) -> None:
    error = await failure(stream(*events))
    assert type(error) is TurnCut
    assert "ended" in error.message


async def test_an_answer_without_a_reason_is_not_whole() -> None:
    error = await failure(stream(START, *text_block(0, "x"), *stop_events(None)))
    assert type(error) is TurnCut
    assert error.message == "The model's answer ended without a reason."


async def test_a_connection_that_breaks_cuts_the_turn() -> None:
    error = await failure(stream(START, *text_block(0, "half of"), end=False))
    assert type(error) is TurnCut
    assert "RemoteProtocolError" in error.message

    async def hang_up(writer: asyncio.StreamWriter) -> None:
        writer.close()

    error = await failure(hang_up)
    assert type(error) is TurnCut


async def test_a_server_that_is_not_there_cuts_the_turn() -> None:
    async with run_wire_server() as wire:
        address = wire.address
    with pytest.raises(TurnCut, match="ConnectError"):
        await ask(WireServer(address))


async def test_a_turn_that_is_whole_stays_whole_when_the_connection_breaks_after_it() -> None:
    async with run_wire_server(
        stream(START, *text_block(0, "All."), *stop_events("end_turn"), end=False)
    ) as wire:
        assert (await ask(wire)).text == "All."


async def test_an_agent_serves_many_turns_at_once() -> None:
    answers = [stream(START, 1.0, *text_block(0, "x"), *stop_events("end_turn")) for _ in range(20)]
    async with run_wire_server(*answers) as wire, MessagesClient(KEY, base_url=wire.address) as agent:
        turns = await asyncio.wait_for(asyncio.gather(*(agent.turn(request()) for _ in answers)), 18)
    assert [turn.text for turn in turns] == ["x"] * 20
