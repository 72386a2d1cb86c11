"""What a browser calls itself, in the two words a person knows it by."""

from __future__ import annotations

BROWSERS = (("Edg", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Macintosh", "Mac"),
    ("Linux", "Linux"),
)


def browser_of(user_agent: str) -> str:
    """Name browser and system, such as "Firefox on Linux"; empty for what is neither. Only our own words come out."""
    browser = next((name for mark, name in BROWSERS if mark in user_agent), "")
    system = next((name for mark, name in SYSTEMS if mark in user_agent), "")
    return " on ".join(word for word in (browser, system) if word)


def whereabouts(at: str, user_agent: str, address: str) -> str:
    """Say where somebody sits: "the page (Firefox on Linux), 10.1.2.3"."""
    browser = browser_of(user_agent)
    return at + (f" ({browser})" if browser else "") + (f", {address}" if address else "")
