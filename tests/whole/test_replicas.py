"""Three replicas of one ledger: every call counted exactly once, whatever happens to any part."""

import signal
from pathlib import Path

import pytest

from testkit import waiting
from testkit.cutter import Cutter
from testkit.fleet import Balanced
from testkit.fronted import Fronted
from testkit.postgres import Postgres

NUMBER = 1200

pytestmark = [pytest.mark.prometheus, pytest.mark.needs("nginx", "postgres", "initdb")]


def test_each_call_is_counted_once(tmp_path: Path) -> None:
    """Kills, a crash of the server, cut connections, a replica that stands still: all exact."""
    with (
        Postgres() as server,
        Cutter(server.address, every=400) as network,
        Fronted(tmp_path, server.url("postgres", address=network.address)) as fleet,
    ):
        with Balanced(fleet, NUMBER) as sender:
            whole = sender.left

            def wait_for(share: float) -> None:
                waiting.until(lambda: sender.left < whole * (1 - share), "calls to be sent", 60)

            wait_for(0.1)
            fleet.replicas["one"].kill()
            fleet.start("one")
            wait_for(0.3)
            server.restart()
            wait_for(0.5)
            frozen = fleet.replicas["two"]
            frozen.process.send_signal(signal.SIGSTOP)
            fleet.start("two")
            wait_for(0.7)
            frozen.process.send_signal(signal.SIGCONT)
            assert frozen.process.wait(30) == 1
            assert "took over" in frozen.process.output()
            sender.wait()
            assert not sender.refused
            assert sender.slowest < 15
        assert fleet.counted_twice() == 0
        fleet.assert_exact(sender.sent)
        (found,) = server.ask("postgres", "SELECT count(*) FROM bandwidth_voice.legs")
        assert found == (NUMBER,)
