"""A short round of each attack by strangers: what is delivered meanwhile is counted, all of it."""

import asyncio
import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.abuse.exporter import PASSWORD, USER
from lab.abuse.strangers import ATTACKS, Real, act, send
from testkit.exporter import Exporter

pytestmark = pytest.mark.program

CREDENTIALS = {"WEBHOOK_USERNAME": USER, "WEBHOOK_PASSWORD": PASSWORD}
CLIENTS = 20  # together with the senders more than there may be connections
FLAG = "--webhook.max-connections=48"


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exporter]:
    """An exporter with credentials, and with room for few connections."""
    with Exporter(tmp_path_factory.mktemp("attacked"), FLAG, env=CREDENTIALS) as running:
        yield running
        assert "Traceback" not in running.process.output(), running.process.tail()


def calls(exporter: Exporter) -> int:
    """The calls that are counted."""
    samples = exporter.metrics().items()
    return round(
        sum(value for (name, _), value in samples if name == "bandwidth_voice_calls_total")
    )


def resident(exporter: Exporter) -> int:
    """Resident memory in kB."""
    status = Path(f"/proc/{exporter.process.pid}/status").read_text()
    return int(re.findall(r"VmRSS:\s+(\d+) kB", status)[0])


@pytest.mark.parametrize("name", ATTACKS)
def test_no_delivery_is_lost(attacked: Exporter, name: str) -> None:
    """During an attack every event of both kinds of sender is counted, and memory stays bounded."""
    host, _, port = attacked.webhook_address.rpartition(":")
    address = (host, int(port))
    attack = dataclasses.replace(ATTACKS[name], clients=min(CLIENTS, ATTACKS[name].clients))

    async def both() -> Real:
        attacking = asyncio.ensure_future(act(address, attack, 1))
        real = await send(address, 50, 0.8)
        await attacking
        return real

    counted, used = calls(attacked), resident(attacked)
    real = asyncio.run(both())
    assert real.lost == 0
    assert calls(attacked) - counted == len(real.seconds) >= 40
    assert resident(attacked) - used < 64_000
