"""Pieces of a certificate: words about a check, as HTML."""

from bci.control.certify.checks import Check, Fact


def allowed(check: Check | Fact) -> str:
    """Return what a check allows, in brackets; nothing for a fact."""
    return f"(allowed: {check.limit_text})" if check.limit_text else ""


def sign(passed: bool) -> str:
    """Return the verdict on one row."""
    return '<span class="good">kept</span>' if passed else '<span class="bad">not kept</span>'
