"""What the handlers must know of SQL: when two texts say the same, and which datasets one reads.

A lexer suffices, and unlike a parser it does not fail on what only Dremio's dialect knows.
"""

import re
from collections.abc import Iterator, Sequence

_TOKEN = re.compile(
    r"""
    (?P<hint>/\*\+.*?\*/)              # changes the plan, so it is no comment
  | (?P<comment>--[^\n]*|/\*.*?\*/)
  | (?P<string>'(?:[^']|'')*')
  | (?P<quoted>"(?:[^"]|"")*")
  | (?P<word>[^\W\d][\w$]*)
  | (?P<number>\d[\w.]*)
  | (?P<other>\S)
    """,
    re.VERBOSE | re.DOTALL,
)
Token = tuple[str, str]  # kind, text
# What may stand before a dataset that is named without its whole path.
_BEFORE_DATASET = frozenset({"FROM", "JOIN", ","})


def canonical(sql: str) -> str:
    """`sql` without comments, and with one space between tokens: equal for texts that differ in
    layout only. For comparison; case counts, since it does within some of Dremio's paths."""
    return " ".join(text for _, text in _tokens(sql))


def references(sql: str) -> Iterator[tuple[tuple[str, ...], bool]]:
    """The dotted names of a query: parts, and whether they stand where a dataset may be named.

    Columns are among them: a name is a dataset only if there is one at its path."""
    tokens = list(_tokens(sql))
    at = 0
    while at < len(tokens):
        if not _is_name(tokens[at]):
            at += 1
            continue
        start, parts = at, [_part(tokens[at])]
        while at + 2 < len(tokens) and tokens[at + 1][1] == "." and _is_name(tokens[at + 2]):
            parts.append(_part(tokens[at + 2]))
            at += 2
        before = tokens[start - 1][1].upper() if start else ""
        yield tuple(parts), before in _BEFORE_DATASET
        at += 1


def reads(sql: str, context: Sequence[str], path: Sequence[str]) -> bool:
    """Whether a query, its names resolved against `context`, reads the dataset at `path`."""
    wanted = _folded(path)
    for parts, may_be_dataset in references(sql):
        found = _folded(parts)
        if found[: len(wanted)] == wanted and len(wanted) > 1:
            return True
        if may_be_dataset and _folded((*context, *parts)) == wanted:
            return True
    return False


def _folded(parts: Sequence[str]) -> tuple[str, ...]:
    """Names are found without regard to case; "a.b" in one pair of quotes is a path too."""
    return tuple(part.lower() for text in parts for part in text.split("."))


def _tokens(sql: str) -> Iterator[Token]:
    for found in _TOKEN.finditer(sql):
        kind = str(found.lastgroup)
        if kind != "comment":
            yield kind, found.group()


def _is_name(token: Token) -> bool:
    return token[0] in ("word", "quoted")


def _part(token: Token) -> str:
    kind, text = token
    return text[1:-1].replace('""', '"') if kind == "quoted" else text
