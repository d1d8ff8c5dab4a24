"""Key figures for dashboards; no alert reads them."""

from collections.abc import Iterator

from bandwidth_voice_exporter.alerts import series
from bandwidth_voice_exporter.alerts.rulefile import Recording
from bandwidth_voice_exporter.alerts.series import CountOf, by

WINDOWS = ("5m", "1h")


def recordings(window: str) -> Iterator[Recording]:
    """Yield ASR, ABR, NER, ACD and what share was the application's fault or short."""
    yield from _figures(window, series.CALLS, series.ANSWERED, series.SHORT, series.TALK)
    yield from _figures(
        window,
        series.OF_APPLICATION,
        series.ANSWERED_OF_APPLICATION,
        series.SHORT_OF_APPLICATION,
        series.TALK_OF_APPLICATION,
    )


def _figures(
    window: str, calls: CountOf, answered: CountOf, short: CountOf, talk: CountOf
) -> Iterator[Recording]:
    def of(domain: str) -> str:
        fine = f'{series.FINE.within(window)}{{fault_domain="{domain}"}}'
        return f"sum {by(*calls.labels)} ({fine})"

    everything = f"sum {by(*calls.labels)} ({series.FINE.within(window)})"
    offered = f"({everything} - {of('account')})"
    figures = {
        "answer_seizure_ratio:ratio": f"{answered.within(window)} / {offered}",
        "answer_bid_ratio:ratio": f"{answered.within(window)} / {everything}",
        "network_effectiveness:ratio": f"1 - {of('bandwidth')} / {offered}",
        "application_effectiveness:ratio": f"1 - {of('application')} / {everything}",
        "call_duration_seconds:mean": f"{talk.within(window)} / {answered.within(window)}",
        "short_call_ratio:ratio": f"{short.within(window)} / {answered.within(window)}",
    }
    for name, expression in figures.items():
        record = f"{calls.level}:bandwidth_voice_{name}{window}"
        if not (calls is series.CALLS and name.startswith("short_call_ratio")):
            yield Recording(record, expression)
