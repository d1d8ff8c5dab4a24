"""The expression of the jobs that the rules are for, as Prometheus reads it."""

import re

# What Python's regular expressions have and RE2 has not: references back, looking around,
# conditions, comments, and repetitions that give nothing back. Escaped characters and classes in
# brackets are passed over.
_NOT_RE2 = re.compile(
    r"\\[^1-9]|\[\^?\]?(?:\\.|[^\]\\])*\]"
    r"|(?P<part>\\[1-9]|\(\?(?:<?[=!]|[>(#]|P=)|[*+?}]\+)"
)


def check(job: str) -> None:
    """Raise ValueError for what is no regular expression, or none of Prometheus's."""
    try:
        re.compile(job)
    except re.error as error:
        raise ValueError(f"job: {job!r} is no regular expression: {error}") from error
    part = next((found["part"] for found in _NOT_RE2.finditer(job) if found["part"]), None)
    if part:
        raise ValueError(
            f"job: {job!r}: Prometheus's regular expressions (RE2) have no {part}; "
            "name the jobs that are meant, such as 'voice|voice-eu'"
        )
