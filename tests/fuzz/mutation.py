"""What a fuzzer writes: words that have broken programs, and texts and bytes that were right before."""

from __future__ import annotations

import random

WORDS = (
    *("", " ", "none", "null", "~", "true", "Yes", "off", "nan", ".inf", "-inf", "1e400", "1e-400", "-0", "0", "-1"),
    *("010", "0x10", "0o17", "1_000", "1:30", "1,5", "1.", ".5", "+3", "2024-01-01", "2024-13-45", "12:00:00", "٣", "²"),
    *("9" * 400, "9" * 5000, "1000000000000", str(2**63), str(-(2**63)), "1e12", "1e308", "0.1e-320"),
    *("only here #2", "a: b", "a\tb", "a\nb", "é", "µS", "😀", "\x00", "\x1b[2J", "\ud800", "x" * 100_000, "'", '"', "\\"),
    *("/etc/shadow", "../..", "~nobody/x", "/dev/zero", "/dev/full", "/", ".", "chip.yaml", "a\x00.yaml", "~.json"),
    *("{", "}", "[", "[]", "{}", "[1", "{a: b}", "{name: sign}", "{name: csv, spikes: /etc/shadow}", "[[[[1]]]]", "[" * 900),
    *("*a", "&a 1", "&a [*a]", "<<", "<<: {a: 1}", "!!timestamp 2024-13-45", "!!python/name:os.system", "!x y", "---", "..."),
    *("sign", "float32", "pattern", "csv", "shd", "mnist", "digits", "nandakumar2018", "hermes", "{from: 0, to: 1, number: 3}"),
    *("{from: 1, to: 1e12, number: 1000000000000}", "{from: 0, to: 1, number: 3, log: true}", "- 1\n- 2", "| \n a", "> b"),
)  # fmt: skip

NUMBERS = (0, 1, -1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 2**31, 2**40, 2**63 - 1, 2**64 - 1, 5 * 10**8)


def word(rng: random.Random) -> str:
    """One of the words, or a number."""
    made = (
        lambda: rng.choice(WORDS),
        lambda: str(rng.randint(-5, 300)),
        lambda: repr(10.0 ** rng.uniform(-12, 12) * rng.choice((1, 1, 1, -1))),
        lambda: "".join(
            chr(rng.choice((rng.randint(32, 126), rng.randint(1, 0x2FF)))) for _ in range(rng.randint(1, 12))
        ),
    )
    return rng.choice(made)()


def changed_text(text: str, rng: random.Random) -> str:
    """A text with a few lines, values or characters changed."""
    for _ in range(rng.randint(0, 4)):
        text = rng.choice(TEXT_CHANGES)(text, rng)
    return text


def _value(text: str, rng: random.Random) -> str:
    lines = text.split("\n")
    place = rng.randrange(len(lines))
    head, colon, _ = lines[place].partition(":")
    lines[place] = f"{head}: {word(rng)}" if colon else word(rng)
    return "\n".join(lines)


def _twice(text: str, rng: random.Random) -> str:
    lines = text.split("\n")
    lines.insert(rng.randrange(len(lines) + 1), rng.choice(lines))
    return "\n".join(lines)


def _left_out(text: str, rng: random.Random) -> str:
    lines = text.split("\n")
    del lines[rng.randrange(len(lines))]
    return "\n".join(lines)


def _indented(text: str, rng: random.Random) -> str:
    lines = text.split("\n")
    place = rng.randrange(len(lines))
    lines[place] = "  " * rng.randint(1, 3) + lines[place].lstrip()
    return "\n".join(lines)


def _inserted(text: str, rng: random.Random) -> str:
    place = rng.randrange(len(text) + 1)
    return text[:place] + word(rng) + text[place + rng.randint(0, 3) :]


TEXT_CHANGES = (_value, _value, _value, _twice, _left_out, _indented, _inserted)


def changed_bytes(data: bytes, rng: random.Random) -> bytes:
    """Bytes with a few of them changed: flipped, overwritten by numbers, moved, cut."""
    content = bytearray(data)
    for _ in range(rng.randint(0, 8)):
        rng.choice(BYTE_CHANGES)(content, rng)
    return bytes(content)


def _flipped(content: bytearray, rng: random.Random) -> None:
    if content:
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)


def _numbered(content: bytearray, rng: random.Random) -> None:
    size = rng.choice((1, 2, 4, 8))
    number = rng.choice(NUMBERS) % 2 ** (8 * size)
    place = rng.randrange(len(content) + 1)
    content[place : place + size] = number.to_bytes(size, rng.choice(("little", "big")))


def _cut(content: bytearray, rng: random.Random) -> None:
    if rng.random() < 0.3:
        del content[rng.randrange(len(content) + 1) :]


def _dropped(content: bytearray, rng: random.Random) -> None:
    place = rng.randrange(len(content) + 1)
    del content[place : place + rng.randint(1, 40)]


def _repeated(content: bytearray, rng: random.Random) -> None:
    place = rng.randrange(len(content) + 1)
    content[place:place] = content[place : place + rng.randint(1, 200)]


def _random(content: bytearray, rng: random.Random) -> None:
    place = rng.randrange(len(content) + 1)
    content[place : place + rng.randint(0, 8)] = rng.randbytes(rng.randint(0, 16))


BYTE_CHANGES = (_flipped, _flipped, _flipped, _numbered, _numbered, _cut, _dropped, _repeated, _random)
