"""Events that are nearly right: good ones with something dropped, mistyped, doubled or bent."""

import json
import random
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Callable

GOOD = Path(__file__).parents[2] / "tests" / "payloads"

# A text that must show nowhere: it goes into every kind of field.
CANARY = "19195550143"
LARGEST = 64 * 1024

# A document as pairs of a key and the JSON text of its value: a key may come twice, and a text
# need not be JSON.
Pairs = list[tuple[str, str]]

_TEXTS = (
    *("", " ", "disconnect", "transferDisconnect", "answer", "brand-new", "missing", "other"),
    *("hangup", "busy", "unknown", "invalid", "none", "inbound", "outbound", "INBOUND"),
    *(f"+{CANARY}", CANARY, f"sip:{CANARY}@example.com", f"no answer from +{CANARY} today"),
    *("1-919-555-0143", "cause12345", "१२३४५६७", "c-1", "x" * 41, "y" * 300, "z" * 3000),
    *("04e88489-df02-4e34-a0ee-27a91849555f", "04E88489DF024E34A0EE27A91849555F"),
    *(
        "c-15ac29a2-1331029c-2cb0-4a07-b215-b22865662d85",
        "\x00",
        "\ud800",
        "\ud83d\ude00",
        "\u202e",
    ),
    *("2026-03-01T12:00:00Z", "2026-03-01T12:00:00.123456789Z", "2026-03-01", "20260301T1200"),
    *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.999999-14:00", "2026-02-30T00:00:00Z"),
    *("2026-W10-1T00:00:00Z", "1969-12-31T23:59:59Z", "2026-03-01T12:00:00+00:00:01", "T", "Z"),
    *("486", "-486", "٤٨٦", "4_8_6", " 486 ", "1e3", 'a"b', "a\\b", "\n", "{}", "true"),
)
_LITERALS = (
    *("null", "true", "false", "0", "-0", "-1", "486", "299", "300", "699", "700", "486.0"),
    *("1e309", "-1e309", "1e-400", "9" * 19, "9" * 400, "9" * 5000, "-" + "9" * 30, "0.1"),
    *("[]", "{}", "[[]]", '{"a":{"b":[1,null]}}', '["disconnect"]', '{"eventType":"disconnect"}'),
    *("NaN", "Infinity", "-Infinity", "01", "+1", ".5", "1.", "'a'", "undefined", "", '"', '"\\'),
    *(
        '"\\ud800"',
        '"\\udc00\\ud800"',
        '"\\u0000"',
        '"\\x41"',
        '"\t"',
        "/**/1",
        "[" * 600,
        "[" * 5000,
    ),
)
_ENCODINGS = (
    "utf-8-sig",
    "utf-16",
    "utf-16-le",
    "utf-16-be",
    "utf-32",
    "utf-32-be",
    "latin-1",
    "utf-7",
)
_BYTES = (
    b"\x00",
    b"\xff",
    b"\xc0\x80",
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
    b"{",
    b"}",
    b'"',
    b"\\",
    b",",
)


def good() -> list[Pairs]:
    """Return the events of the tests' good payloads."""
    documents = [
        json.loads(path.read_bytes())["request"] for path in sorted(GOOD.glob("*.good.json"))
    ]
    return [[(key, json.dumps(value)) for key, value in document.items()] for document in documents]


class Mutator:
    """Makes bad events of good ones; the same dice give the same events."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._good = good()
        self._keys = sorted({key for pairs in self._good for key, _ in pairs})
        self._changes: tuple[Callable[[Pairs], None], ...] = (
            self._drop,
            self._retype,
            self._retype,
            self._retext,
            self._retext,
            self._bend,
            self._double,
            self._rename,
            self._swap,
            self._add,
        )

    def pairs(self, call_id: str) -> Pairs:
        """Return an event with an id of its own, up to five things of which are changed."""
        pairs = [
            (key, json.dumps(call_id) if key == "callId" else text)
            for key, text in self._dice.choice(self._good)
        ]
        for _ in range(self._dice.choice((0, 1, 1, 1, 2, 3, 5))):
            self._dice.choice(self._changes)(pairs)
        return pairs

    def body(self, call_id: str) -> bytes:
        """Return such an event as the body of a request, within the limit of its size."""
        dice = self._dice
        text = document(self.pairs(call_id), dice.choice((",", ", ", ",\n  ", " , ")))
        if dice.random() < 0.02:
            text = dice.choice(("[{}]", "{}{}", "{} x", "\n\n{}\n", '{"a":{}}', '"{}"')).replace(
                "{}", text
            )
        encoding = dice.choice(_ENCODINGS) if dice.random() < 0.05 else "utf-8"
        body = text.encode(encoding, errors="surrogatepass" if "utf" in encoding else "replace")
        return (self.flip(body) if dice.random() < 0.1 else body)[:LARGEST]

    def query(self, call_id: str) -> str:
        """Return such an event as a query string of characters that a request line may have."""
        dice = self._dice
        parts = []
        for key, text in self.pairs(call_id):
            value = text.strip('"').encode(errors="surrogatepass")[:2000]
            parts.append(f"{quote(key)}={quote(value, safe=dice.choice(('', ':+', '%&=')))}")
        if dice.random() < 0.1:
            parts.append(
                dice.choice(("tag=%", "tag=%zz", "tag=%00", "=", "&&", "a=b=c", "%ff", "+"))
            )
        # A character that quote() was told to keep may not stand in a request line as it is.
        return "&".join(parts)

    def flip(self, data: bytes) -> bytes:
        """Return bytes with a few of them changed, cut out, put in or repeated."""
        dice = self._dice
        for _ in range(dice.choice((1, 1, 2, 4))):
            start = dice.randrange(len(data) + 1)
            end = min(len(data), start + dice.choice((0, 1, 1, 2, 8, 64)))
            put = dice.choice(
                (b"", bytes((dice.randrange(256),)), dice.choice(_BYTES), data[start:end] * 2)
            )
            data = data[:start] + put + data[end:]
        return data

    def _at(self, pairs: Pairs) -> int | None:
        # Without its type an event is only ignored: that is worth no more than a few tries.
        places = [
            place
            for place, (key, _) in enumerate(pairs)
            if key != "eventType" or self._dice.random() < 0.2
        ]
        return self._dice.choice(places) if places else None

    def _drop(self, pairs: Pairs) -> None:
        if (place := self._at(pairs)) is not None:
            del pairs[place]

    def _retype(self, pairs: Pairs) -> None:
        if (place := self._at(pairs)) is not None:
            pairs[place] = (pairs[place][0], self._dice.choice(_LITERALS))

    def _retext(self, pairs: Pairs) -> None:
        if (place := self._at(pairs)) is not None:
            pairs[place] = (pairs[place][0], self._text(self._dice.choice(_TEXTS)))

    def _bend(self, pairs: Pairs) -> None:
        """Change characters within a value."""
        if (place := self._at(pairs)) is not None:
            key, text = pairs[place]
            start = self._dice.randrange(len(text) + 1)
            put = self._dice.choice((*"0T:-Z+ aé", "00000", "", "\\u00e9", CANARY))
            pairs[place] = (key, text[:start] + put + text[start + self._dice.randrange(3) :])

    def _double(self, pairs: Pairs) -> None:
        if (place := self._at(pairs)) is not None:
            text = self._dice.choice(
                (pairs[place][1], self._text(self._dice.choice(_TEXTS)), "null")
            )
            pairs.insert(self._dice.randrange(len(pairs) + 1), (pairs[place][0], text))

    def _rename(self, pairs: Pairs) -> None:
        if (place := self._at(pairs)) is not None:
            key, text = pairs[place]
            new = self._dice.choice(
                (key.upper(), key.lower(), f"{key} ", f"{key}\x00", "", *self._keys)
            )
            pairs[place] = (new, text)

    def _swap(self, pairs: Pairs) -> None:
        one, other = self._at(pairs), self._at(pairs)
        if one is not None and other is not None:
            (key, text), (other_key, other_text) = pairs[one], pairs[other]
            pairs[one], pairs[other] = (key, other_text), (other_key, text)

    def _add(self, pairs: Pairs) -> None:
        key = self._dice.choice(("privacy", "__proto__", "tag", "from", "to", *self._keys))
        pairs.append((key, self._dice.choice((self._text(f"+{CANARY}"), *_LITERALS))))

    def _text(self, text: str) -> str:
        return json.dumps(text, ensure_ascii=self._dice.random() < 0.5)


def document(pairs: Pairs, comma: str = ",") -> str:
    """Return the JSON text of an event."""
    return "{" + comma.join(f"{json.dumps(key)}:{text}" for key, text in pairs) + "}"
