"""The incidents of the benchmark: which there are, and that they stay what they were."""

from collections import Counter

import pytest

from lab.alert_quality import benign, catalogue
from lab.alert_quality.catalogue import LEVELS, MINUTES, WARM_UP
from lab.alert_quality.incident import KINDS
from lab.alert_quality.traffic import DIRECTIONS, UNSTEADY

_DIGESTS = {
    1: ["4a3dcf8dbbe02340", "99df7e815363cb66", "02bbe24b65435918"],
    10: ["94f4c195e2c89025", "7e61b1a8e77b05d3", "8bb85e0fa75d9b19"],
    60: ["428dfd5dd1c3e823", "81aa52ee8fa799c3", "f80abee0b5d8dc3b"],
    30000: ["c42a0da6bb77b6dc", "2d51cf8e8b9c5afd", "2bca495b11ef5219"],
}


@pytest.mark.parametrize("level", LEVELS)
def test_catalogue_is_what_was_committed(level: int) -> None:
    """No incident is changed after rules were measured on it."""
    seeds = (catalogue.TUNING_SEEDS[0], catalogue.REPORTING_SEEDS[0], catalogue.REPORTING_SEEDS[-1])
    assert [catalogue.digest(level, seed) for seed in seeds] == _DIGESTS[level]


@pytest.mark.parametrize("level", LEVELS)
def test_every_kind_has_a_hundred_material_incidents(level: int) -> None:
    """Over the reporting seeds recall of each kind rests on at least 100 material incidents."""
    found = Counter(
        entry.incident.kind
        for seed in catalogue.REPORTING_SEEDS
        for entry in catalogue.catalogue(level, seed)
        if entry.material
    )
    assert min(found[kind] for kind in KINDS) >= 100


@pytest.mark.parametrize("level", LEVELS)
def test_incidents_of_a_direction_never_meet(level: int) -> None:
    """In a direction one incident is over for two hours before the next begins, after warm-up."""
    entries = catalogue.catalogue(level, catalogue.SENSITIVITY_SEEDS[0], UNSTEADY)
    for direction in DIRECTIONS:
        free = WARM_UP
        for incident in (entry.incident for entry in entries):
            if incident.runs_in(direction):
                assert incident.start >= free
                free = incident.end + 120
        assert free <= MINUTES


def test_seeds_are_kept_apart() -> None:
    """No seed serves two of tuning, reporting and sensitivity."""
    seeds = [
        *catalogue.TUNING_SEEDS,
        *catalogue.REPORTING_SEEDS,
        *catalogue.SENSITIVITY_SEEDS,
        *benign.TUNING_SEEDS,
        *benign.REPORTING_SEEDS,
    ]
    assert len(seeds) == len(set(seeds))
