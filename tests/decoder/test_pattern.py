"""The pattern of a bundle matches markers as `re` does, whatever it costs `re`."""

import random
import re
import time

import pytest
from pydantic import ValidationError

from bci.decoder.pattern import MarkerPattern
from bci.decoder.spec import EpochSpec

PATTERNS = [
    "stimulus .*",
    "S +[0-9]+",
    "(left|right)_hand",
    ".*target.*",
    "^S[^12]$",
    r"\d{2,4}",
    r"\w+\s?\W*",
    "a{0,3}b??c*?",
    "(a|ab)(c|bcd)(d*)",
    "",
    "(?:a|b|)*c",
    "[a-cx-z]{2}|[^a-c]{3}",
    r"\D\S",
    "(?P<side>l|r)[.]",
    "((a*)*)*",
    "(" * 60 + "a" + ")" * 60,
    "(a?){3}a{3}",
    "é|[ä-ü]",
    r"a\.b|\x41",
]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_it_matches_what_re_matches(pattern: str) -> None:
    wanted, chosen = MarkerPattern(pattern), re.compile(pattern, re.DOTALL)
    draw = random.Random(pattern)
    texts = [
        "",
        "stimulus 3 face",
        "S  12",
        "left_hand",
        "x target\ny",
        "S3",
        "123",
        "abbc",
        "abcd",
        "l.",
        "aaa",
        "é",
        "A",
    ]
    texts += ["".join(draw.choices("abcdlr_S 12.é\n", k=draw.randrange(9))) for _ in range(300)]
    for text in texts:
        # In `re`, $ is also before a line's end that is the last character; here it is the end.
        if "$" not in pattern or not text.endswith("\n"):
            assert wanted.matches(text) == bool(chosen.fullmatch(text)), (pattern, text)


def test_a_dot_is_every_character_and_a_marker_may_have_lines() -> None:
    assert MarkerPattern(".*").matches("stimulus\n3\r\nface")
    assert MarkerPattern("stimulus .*").matches("stimulus 3\n")


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("(a+)+b", "a" * 480),
        ("(a|a)*b", "a" * 480),
        ("(.*a){12}", "a" * 470 + "b" * 10),
        ("(a?){60}a{60}", "a" * 60),
        (".*.*.*.*.*.*.*x", "y" * 480),
    ],
)
def test_patterns_that_explode_are_matched_in_linear_time(pattern: str, text: str) -> None:
    began = time.process_time()
    MarkerPattern(pattern).matches(text)
    assert time.process_time() - began < 2


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        (r"(a)\1", "a reference to a group"),
        ("(?=a)a", "a look ahead or behind"),
        ("(?<!a)b", "a look ahead or behind"),
        ("(a)?(?(1)b|c)", "a condition on a group"),
        (r"\bS1", "the border of a word"),
        ("(?i)s1", r"write \[Ss\]"),
        ("(?i:s)1", r"write \[Ss\]"),
        ("(?>a)", "cannot be matched in linear time"),
        ("(a{500}){500}", "too many"),
        ("a{4000000000}", "no regular expression|too many"),
        ("(", "no regular expression"),
        ("a" * 501, "at most 500 characters"),
    ],
)
def test_what_has_no_bound_is_refused_with_its_part(pattern: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        MarkerPattern(pattern)
    with pytest.raises(ValidationError, match="markers"):
        EpochSpec(start=0.0, stop=1.0, markers=pattern)
