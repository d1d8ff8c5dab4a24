"""Coverage-guided fuzzing of the decoder, from bytes to the tally: `python -m lab.fuzz.decoder`.

Takes libFuzzer's flags, such as `-runs=100000`, `-max_total_time=60` and `-seed=1`, and a file that
broke it.
"""

import random
import shutil
import sys
from pathlib import Path

from lab.fuzz.mutations import Mutator, document, good

_CORPUS = Path(".tools/corpus")
_LIMITS = ("-runs=700000", "-max_total_time=420", "-artifact_prefix=.tools/")
_OWN_MUTATIONS = 0.3  # of all; the rest are libFuzzer's, which know what was covered


def seeds() -> list[bytes]:
    """Return the tests' good payloads, and queries that are nearly right."""
    mutator = Mutator(random.Random(0))
    return [
        *(document(pairs).encode() for pairs in good()),
        *(mutator.query("c-1").encode() for _ in range(50)),
    ]


def main() -> None:
    """Fuzz until libFuzzer's limits are reached, or something breaks."""
    try:
        import atheris  # noqa: PLC0415  # there is none for some platforms
    except ImportError:
        sys.exit("atheris is missing: pip install --require-hashes -r requirements/fuzz.txt")

    # First what is not instrumented: there is nothing to find in it.
    with atheris.instrument_imports(include=["bandwidth_voice_exporter"]):
        from lab.fuzz.oracle import Oracle  # noqa: PLC0415  # as above
    atheris.enabled_hooks.add("RegEx")
    atheris.enabled_hooks.add("str")
    oracle = Oracle()
    dice = random.Random()
    mutator = Mutator(dice)

    def mutate(data: bytes, max_size: int, seed: int) -> bytes:
        dice.seed(seed)
        if dice.random() > _OWN_MUTATIONS:
            return bytes(atheris.Mutate(data, max_size))
        call_id = f"c-{seed:x}"
        is_query = dice.random() < 0.3
        new = mutator.query(call_id).encode() if is_query else mutator.body(call_id)
        return new[:max_size]

    # Not a temporary directory: libFuzzer ends the process without a turn to remove it.
    shutil.rmtree(_CORPUS, ignore_errors=True)
    _CORPUS.mkdir(parents=True)
    for number, seed in enumerate(seeds()):
        (_CORPUS / f"{number:03}").write_bytes(seed)
    given = sys.argv[1:] or _LIMITS
    files = [str(_CORPUS)] if all(arg.startswith("-") for arg in given) else []
    atheris.Setup(
        [sys.argv[0], *given, *files], oracle.check, custom_mutator=mutate, internal_libfuzzer=True
    )
    atheris.Fuzz()  # ends the process


if __name__ == "__main__":
    main()
