"""The command: `python -m lab NAME [ARGUMENT ...]`, from the repository's root."""

import runpy
import sys
from collections.abc import Mapping

# The module of each, and what it measures.
_EXPERIMENTS: Mapping[str, tuple[str, str]] = {
    "speed": ("lab.speed", "speed beside other receivers (an hour; wrk; --only hot)"),
    "compare": ("lab.compare", "processor time beside another checkout's, in pairs (wrk)"),
    "failures-search": ("lab.failures_search", "searching a million failures while events come"),
    "dashboard-queries": ("lab.dashboard_queries", "the dashboards' queries on 30 days of history"),
    "rules-cost": ("lab.rules_cost", "what the alert rules cost a Prometheus (some minutes)"),
    "alert-quality": ("lab.alert_quality", "the alert rules on 28 days of calls (run, quick, …)"),
    "alert-sites": ("lab.alert_quality.sites", "the alert rules on sites that close (hours; run)"),
    "abuse": ("lab.abuse", "slow clients, strangers, floods, made-up labels (eight minutes)"),
    "native-cost": ("lab.native_cost", "a scrape with native histograms beside one without"),
    "forward": ("lab.forward", "handlers: every event, broken ones, the cost beside nginx (nginx)"),
    "call-list": ("lab.call_list", "nothing: a list of calls to try reconciliation by hand with"),
    "reconcile": ("lab.reconcile", "a comparison with a list of 430,000 calls (some minutes)"),
    "replicas": ("lab.replicas", "three replicas, one ledger, everything failing (PostgreSQL)"),
    "shared-rows": ("lab.shared_rows", "looking calls up in ten million rows (PostgreSQL)"),
    "shared-week": ("lab.shared_week", "sizes of tables in a simulated week (PostgreSQL)"),
    "shared-speed": ("lab.shared_speed", "a ledger in PostgreSQL beside one on a disk (wrk)"),
    "leak": ("lab.abuse.leak", "two million events through one process (ten minutes; wrk)"),
    "fuzz-decoder": ("lab.fuzz.decoder", "bent inputs to the decoder (requirements/fuzz.txt)"),
    "fuzz-pieces": ("lab.fuzz.pieces", "bent requests at once and byte by byte (ten minutes)"),
    "fuzz-socket": ("lab.fuzz.socket_client", "bent requests over a socket"),
}


def main() -> None:
    """Run the experiment that is named; without a name, list them."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in _EXPERIMENTS:
        for each, (_, what) in _EXPERIMENTS.items():
            print(f"python -m lab {each:18} {what}")
        sys.exit(f"lab: there is no {name}" if name else 0)
    sys.argv[:2] = [f"lab {name}"]
    runpy.run_module(_EXPERIMENTS[name][0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
