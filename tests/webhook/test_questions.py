"""Requests without credentials: a question first, a loss where no event ever follows."""

import asyncio
import logging
from typing import Any

import pytest

from bandwidth_voice_exporter.http import Clients
from bandwidth_voice_exporter.ledger.memory import MemoryLedger
from bandwidth_voice_exporter.logs import Log
from bandwidth_voice_exporter.metrics import Limits, Tally
from bandwidth_voice_exporter.metrics.instruments import Instruments
from bandwidth_voice_exporter.voice.pseudonym import Pseudonyms
from bandwidth_voice_exporter.webhook.credentials import Credentials
from bandwidth_voice_exporter.webhook.endpoint import Webhook
from bandwidth_voice_exporter.webhook.intake import Intake

_LOGGER = "questions"


def test_the_question_that_is_one_too_many_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """The fifth question in more than a minute without any event is in the log at once."""
    now = 0.0

    async def ask() -> None:
        nonlocal now
        log = Log(_LOGGER)
        counted = Instruments(lambda: now)
        webhook = Webhook(
            intake=Intake(MemoryLedger(lambda _: None, Tally(Limits(), 0)), Pseudonyms(b"key")),
            instruments=counted,
            credentials=Credentials(("u:p",), None, log, on_load=lambda _: None),
            max_body_bytes=1000,
            proxies=(),
            clients=Clients(()),
            log=log,
        )
        scope = {"type": "http", "method": "POST", "headers": [], "client": ("192.0.2.1", 1)}

        async def receive() -> Any:
            raise AssertionError("a question is answered without its body")

        async def send(message: Any) -> None:
            assert message.get("status", 401) == 401

        for number in range(5):
            assert not caplog.messages, number
            await webhook(scope, receive, send)
            now += 20

    with caplog.at_level(logging.INFO, _LOGGER):
        asyncio.run(ask())
    assert caplog.messages == [
        "requests come without credentials, and none with them: these events are lost"
    ]
