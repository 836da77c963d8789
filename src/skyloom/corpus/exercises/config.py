"""Settings of exercise detection in pages."""

from __future__ import annotations

from dataclasses import dataclass

from skyloom.core.config import setting


@dataclass(frozen=True)
class ExerciseConfig:
    """When a passage is an exercise, and a text a collection of them."""

    english: float = setting(0.6, doc="lowest probability of an English exercise", low=0.0, high=1.0)
    chinese: float = setting(0.95, doc="lowest probability of a Chinese exercise", low=0.0, high=1.0)
    share: float = setting(0.5, doc="share of a text that exercises make up for it to be split off", low=0.0, high=1.0)
    solved: bool = setting(True, doc="split off only texts of which at least one exercise has its solution")
