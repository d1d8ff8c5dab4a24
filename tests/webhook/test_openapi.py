"""openapi.yaml describes the webhook listener as the running program has it."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from bandwidth_voice_exporter.voice.payload import Payload
from testkit.exporter import WEBHOOK_PATH, StartExporter, environment

DESCRIPTION = Path(__file__).parents[2] / "openapi.yaml"

# Personal data, and what the exporter has no use for.
NOT_DECODED = {
    *("from", "to", "tag", "transferTo", "transferCallerId"),
    *("accountId", "callUrl"),
}

# Every check of schemathesis but this one. The listener takes on purpose what its description calls
# wrong: an event that is refused for a mistyped field does not come again.
EXCLUDED = "negative_data_rejection"


def test_the_program_answers_as_it_is_described(exporter: StartExporter, tmp_path: Path) -> None:
    """Requests made of the description, right and wrong, get answers that it describes."""
    running = exporter(env={"WEBHOOK_USERNAME": "bandwidth", "WEBHOOK_PASSWORD": "secret"})
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", str(DESCRIPTION)),
            *("--url", f"http://{running.webhook_address}", "--auth", "bandwidth:secret"),
            *("--exclude-checks", EXCLUDED, "--max-examples", "20", "--seed", "1", "--no-color"),
            *("--phases", "examples,coverage,fuzzing", "--generation-database", "none"),
        ],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    answered = {
        dict(labels)["code"]: value
        for (name, labels), value in running.metrics().items()
        if name == "bandwidth_voice_exporter_webhook_requests_total"
    }
    assert min(answered[code] for code in ("200", "204", "400", "401", "405")) > 0
    assert '"level": "error"' not in running.process.output()


@pytest.mark.parametrize("schema", ["Event", "QueryEvent"])
def test_the_described_fields_are_those_that_are_read_and_those_that_are_not(schema: str) -> None:
    """The fields of an event are those of the decoder and the ones left out on purpose."""
    assert set(document()["components"]["schemas"][schema]["properties"]) == (
        {*Payload.__struct_encode_fields__} | NOT_DECODED
    )


def test_no_field_of_an_event_is_required_and_others_may_come() -> None:
    """An event's description asks for no field and allows any other."""
    event = document()["components"]["schemas"]["Event"]
    assert "required" not in event
    assert event["additionalProperties"] is True


def test_the_path_is_the_default_one() -> None:
    """The description has the default path and its health check, nothing else."""
    assert set(document()["paths"]) == {WEBHOOK_PATH, f"{WEBHOOK_PATH}/ready"}


def document() -> dict[str, Any]:
    """The description as it is written."""
    loaded: dict[str, Any] = yaml.safe_load(DESCRIPTION.read_text())
    return loaded
