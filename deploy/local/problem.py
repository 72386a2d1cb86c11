"""What a stack says when it cannot go on: which part, why, and what to do about it."""

from __future__ import annotations


class StackProblem(Exception):
    """A part of the stack cannot start or work, in words for the person at the terminal."""

    def __init__(self, part: str, why: str, advice: str) -> None:
        super().__init__(f"{part}: {why}")
        self.part = part
        self.why = why
        self.advice = advice

    def __str__(self) -> str:
        return f"{self.part} cannot start: {self.why}\n  what to do: {self.advice}"
