"""How TLS and users follow their files, with a clock of the test's own."""

import logging
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

import bcrypt
import pytest

from bandwidth_voice_exporter.http.not_after import not_after
from bandwidth_voice_exporter.http.security import Security, load
from bandwidth_voice_exporter.http.web_config import WebConfigError
from bandwidth_voice_exporter.logs import Log
from testkit.certificates import Authority

HASH = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
TLS = "tls_server_config: {cert_file: server.crt, key_file: server.key}\n"
ALICE = f"basic_auth_users: {{alice: {HASH}}}\n"
BOB = f"basic_auth_users: {{bob: {HASH}}}\n"


class Followed:
    """A Security over a file, what it told of its loads, and the clock."""

    def __init__(self, directory: Path, text: str) -> None:
        """Begin with a text in the file."""
        self.file = directory / "web.yml"
        self.file.write_text(text)
        self.now = 0.0
        self.loads: list[bool] = []
        self.ends: list[float] = []
        self.security = Security(
            self.file,
            load(self.file, may_have_users=True),
            Log("test_security"),
            listener="ops",
            may_have_users=True,
            on_load=self.loads.append,
            on_handshake_error=lambda: None,
            on_certificate=self.ends.append,
            monotonic=lambda: self.now,
        )

    def look(self) -> set[bytes]:
        """The users, once what stands in the files has stood long enough to be taken."""
        for _ in range(3):
            self.security.look()
            self.now += 0.5
        return set(self.security.users())


def test_a_changed_file_stands_for_a_second(tmp_path: Path) -> None:
    """A file that is written to is taken when it has not changed for a second, not before."""
    followed = Followed(tmp_path, ALICE)
    followed.file.write_text(BOB)
    for _ in range(2):
        followed.security.look()
        assert set(followed.security.users()) == {b"alice"}
        followed.now += 0.5
    followed.security.look()
    assert set(followed.security.users()) == {b"bob"}
    assert followed.loads == [True]


def test_a_certificate_and_its_key_come_one_after_the_other(tmp_path: Path) -> None:
    """Between two renames the key is another certificate's: that is no mistake yet."""
    authority = Authority()
    authority.issue(tmp_path)
    followed = Followed(tmp_path, TLS + ALICE)
    authority.issue(tmp_path, "next")
    for name in ("crt", "key"):
        new = tmp_path / f"next.{name}"
        os.utime(new, (0, 0))  # written some time ago
        new.replace(tmp_path / f"server.{name}")
        followed.security.look()
    assert followed.loads == [True]


def test_nothing_new_is_no_load(tmp_path: Path) -> None:
    """Files that did not change are not read again."""
    followed = Followed(tmp_path, ALICE)
    for _ in range(3):
        assert followed.look() == {b"alice"}
    assert followed.loads == []


def test_a_broken_file_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A broken file keeps what was there, and is logged once and not with every look."""
    followed = Followed(tmp_path, ALICE)
    followed.file.write_text("basic_auth_users: {bob: hunter2}")
    with caplog.at_level(logging.INFO, "test_security"):
        for _ in range(3):
            assert followed.look() == {b"alice"}
    assert followed.loads == [False]
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "hunter2" not in str(vars(caplog.records[0]))
    followed.file.write_text(BOB)
    assert followed.look() == {b"bob"}
    assert followed.loads == [False, True]


def test_a_file_that_goes_and_comes(tmp_path: Path) -> None:
    """A file that is away keeps what was there until it is back."""
    followed = Followed(tmp_path, ALICE)
    followed.file.rename(tmp_path / "away.yml")
    assert followed.look() == {b"alice"}
    (tmp_path / "away.yml").rename(followed.file)
    assert followed.look() == {b"alice"}
    assert followed.loads == [False, True]


def test_the_last_user_stays(tmp_path: Path) -> None:
    """A file in which nobody is left does not open the listener."""
    followed = Followed(tmp_path, ALICE)
    followed.file.write_text("")
    assert followed.look() == {b"alice"}
    assert followed.loads == [False]


def test_the_first_user_comes(tmp_path: Path) -> None:
    """Users in a file that had none close the listener without a restart."""
    followed = Followed(tmp_path, "")
    assert followed.look() == set()
    followed.file.write_text(ALICE)
    assert followed.look() == {b"alice"}


@pytest.mark.parametrize(
    ("before", "after"), [(TLS + ALICE, ALICE), (ALICE, TLS + BOB)], ids=["goes", "comes"]
)
def test_tls_stays_as_it_is(before: str, after: str, tmp_path: Path) -> None:
    """TLS neither goes nor comes without a restart, and nothing else of such a file is taken."""
    Authority().issue(tmp_path)
    followed = Followed(tmp_path, before)
    followed.file.write_text(after)
    assert followed.look() == {b"alice"}
    assert followed.loads == [False]


def test_a_certificate_that_comes_later(tmp_path: Path) -> None:
    """A certificate that a changed file names, but is not there yet, is taken when it is."""
    authority = Authority()
    authority.issue(tmp_path)
    followed = Followed(tmp_path, TLS + ALICE)
    followed.file.write_text(TLS.replace("server.", "next.") + BOB)
    assert followed.look() == {b"alice"}
    authority.issue(tmp_path, "next")
    assert followed.look() == {b"bob"}
    assert followed.loads == [False, True]


def test_links_that_point_elsewhere(tmp_path: Path) -> None:
    """A directory that is swapped under a link, as Kubernetes does, is a change."""
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        Authority().issue(tmp_path / name)
    link = tmp_path / "current"
    link.symlink_to("old")
    followed = Followed(tmp_path, TLS.replace("server.", "current/server."))
    followed.look()
    (tmp_path / "next").symlink_to("new")
    (tmp_path / "next").replace(link)
    followed.look()
    assert followed.loads == [True]


def test_a_key_of_another_certificate(tmp_path: Path) -> None:
    """A key that is not the certificate's is said to be just that."""
    Authority().issue(tmp_path)
    other = Authority().issue(tmp_path, "other")
    shutil.copy(other.key_file, tmp_path / "server.key")
    with pytest.raises(WebConfigError, match="not the key of the certificate in"):
        Followed(tmp_path, TLS)


@pytest.mark.parametrize("broken", ["server.crt", "server.key"])
def test_no_pem(broken: str, tmp_path: Path) -> None:
    """A certificate or key that is none is refused with both names, for OpenSSL tells no more."""
    Authority().issue(tmp_path)
    (tmp_path / broken).write_text("nonsense")
    with pytest.raises(WebConfigError, match=rf"{broken}.*: not a certificate and its key in PEM"):
        Followed(tmp_path, TLS)


def test_no_client_ca(tmp_path: Path) -> None:
    """A file of client CAs that has none in it is refused by its name."""
    Authority().issue(tmp_path)
    (tmp_path / "clients.crt").write_text("")
    verifying = "client_ca_file: clients.crt, client_auth_type: RequireAndVerifyClientCert}"
    with pytest.raises(WebConfigError, match=r"clients.crt: no certificates in PEM"):
        Followed(tmp_path, TLS.replace("}", f", {verifying}"))


def test_the_end_of_a_certificate_is_told(tmp_path: Path) -> None:
    """When a certificate ends is told at the start and after it was replaced."""
    authority = Authority()
    ends: list[float] = []
    for soon in (datetime(2031, 5, 1, tzinfo=UTC), datetime(2061, 5, 1, tzinfo=UTC)):
        authority.issue(tmp_path, ends=soon)
        if not ends:
            followed = Followed(tmp_path, TLS + ALICE)
        followed.look()
        ends.append(soon.timestamp())
    assert followed.ends == ends


def test_an_unreadable_end_refuses_nothing(tmp_path: Path) -> None:
    """A certificate whose end is not found is one whose end is not told."""
    file = tmp_path / "server.crt"
    for text in ("", "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"):
        file.write_text(text)
        assert not_after(file) is None
