"""The shipped rules as the people of a site would configure them: what they know of it."""

from pathlib import Path

import msgspec

from bandwidth_voice_exporter import alerts
from lab.alert_quality import results as of_day_and_night
from lab.alert_quality.sites.run import SiteRun

SHIPPED = of_day_and_night.path_of("bandwidth-voice")


def rules(run: SiteRun) -> str:
    """Return the rules for a run: its clock and holidays, environments, campaigns by hand."""
    site = run.of
    settings = msgspec.structs.replace(
        alerts.config.load(),
        time_zone=run.calendar.zone,
        # A site that is open day and night is so on holidays too.
        closed_days=() if site.never_closes else run.calendar.holidays,
        group_labels=("env",) if len(site.environments) > 1 else (),
        switched_by_hand=("outbound",) if site.by_hand else (),
    )
    return alerts.rules.text(settings)


def file_for(run: SiteRun, file: Path, directory: Path) -> Path:
    """Return the rule file for a run: ``file`` itself, but the shipped one configured."""
    if file != SHIPPED:
        return file
    directory.mkdir(parents=True, exist_ok=True)
    written = directory / f"{run.name}.rules.yml"
    written.write_text(rules(run), "utf-8")
    return written
