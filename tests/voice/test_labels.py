"""The values that a label may take."""

import pytest

from bandwidth_voice_exporter.voice import labels
from bandwidth_voice_exporter.voice.labels import Admitted

UUID = "550e8400-e29b-41d4-a716-446655440000"
CALL_ID = "c-15ac29a2-1331029c-2cb0-4a07-b215-b22865662d85"


@pytest.mark.parametrize("text", [UUID, UUID.upper(), UUID.replace("-", "")])
def test_uuid_in_every_spelling(text: str) -> None:
    """A UUID is one in either case, with or without its dashes."""
    assert labels.is_uuid(text)


@pytest.mark.parametrize("text", ["", UUID[1:], f"{UUID}\n", f" {UUID}", f"g{UUID[1:]}", CALL_ID])
def test_no_uuid(text: str) -> None:
    """Anything beside the UUID makes a text none."""
    assert not labels.is_uuid(text)


def test_call_id() -> None:
    """A call id is c-, eight hexadecimal digits and a UUID, and nothing else."""
    assert labels.is_call_id(CALL_ID)
    assert not labels.is_call_id(UUID)
    assert not labels.is_call_id(f"{CALL_ID}0")
    assert not labels.is_call_id(f"{CALL_ID}\n")


@pytest.mark.parametrize("text", ["busy", "B", "node-capacity-exceeded", "x1234", "a" * 40, "none"])
def test_words(text: str) -> None:
    """A word is up to forty letters, digits and dashes, a letter first."""
    assert labels.is_word(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "4xx",
        "-busy",
        "a b",
        "a_b",
        "a" * 41,
        "busy\n",
        "käse",
        "x\u0661",
        "a12345",
        "n-19195550100",
    ],
)
def test_no_words(text: str) -> None:
    """Other characters, 41 of them, or five digits in a row are no word."""
    assert not labels.is_word(text)


def test_word_may_hold_a_uuid() -> None:
    """The digits of a UUID hide no phone number."""
    assert labels.is_word(f"x-{UUID}")


@pytest.mark.parametrize("text", ["missing", "invalid", "other"])
def test_reserved_words(text: str) -> None:
    """A word that says why there is no value cannot come in as a value."""
    assert not labels.is_word(text)
    assert not labels.is_token(text)


def test_none_is_reserved_among_ids_only() -> None:
    """An error id cannot be called none, which stands for its absence; a cause can."""
    assert not labels.is_token("none")
    assert labels.is_word("none")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("E-1234", True),
        ("4f:a_b.c", True),
        ("x" * 48, True),
        (f"x:{UUID}", True),
        ("x" * 49, False),
        ("", False),
        ("_x", False),
        ("x y", False),
        ("x\n", False),
        ("19195550100", False),
    ],
)
def test_tokens(text: str, expected: bool) -> None:  # noqa: FBT001  # the table's expectation
    """A token is up to 48 characters of an id, without five digits in a row."""
    assert labels.is_token(text) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1234", False),
        ("12345", True),
        ("1234-5", True),
        (UUID, False),
        (CALL_ID, False),
        (f"{UUID}0", True),
        (f"{UUID} 12345", True),
        ("12345678-1234-1234-1234-123456789012", True),
        ("\u0661\u0662\u0663\u0664\u0665", True),
    ],
)
def test_digit_runs(text: str, expected: bool) -> None:  # noqa: FBT001  # the table's expectation
    """Five digits in a row count, of any script, dashed or not, outside a UUID or call id."""
    assert labels.has_digit_run(text) is expected


def test_admission_knows_its_own() -> None:
    """A known value is never new and takes no place."""
    admission = Admitted(frozenset({"busy"}), cap=1)
    assert admission.admit("busy") == ("busy", False)
    assert admission.admit("glare") == ("glare", True)


def test_admission_is_for_good() -> None:
    """An admitted value stays when the cap is reached; a new value then becomes other."""
    admission = Admitted(frozenset(), cap=2)
    assert [admission.admit(value) for value in ("a", "b", "c", "a", "b", "c")] == [
        ("a", True),
        ("b", True),
        ("other", False),
        ("a", False),
        ("b", False),
        ("other", False),
    ]


def test_admission_with_a_cap_of_zero() -> None:
    """A cap of 0 lets nothing new in."""
    assert Admitted(frozenset({"busy"}), cap=0).admit("glare") == ("other", False)


def test_admissions_are_apart() -> None:
    """A value that one label admits takes no place of another label's."""
    Admitted(frozenset(), cap=1).admit("a")
    assert Admitted(frozenset(), cap=1).admit("b") == ("b", True)
