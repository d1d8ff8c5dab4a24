"""The program: how signals are met is settled first, for the rest takes a while to load."""

from bandwidth_voice_exporter import signals


def run() -> None:
    """Run the program and exit with its status."""
    signals.hold()
    from bandwidth_voice_exporter import cli  # noqa: PLC0415  # signals are held before it

    cli.run()


if __name__ == "__main__":
    run()
