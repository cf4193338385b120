"""Working time, as pure functions: is it open, and when does it open next."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Self
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
HORIZON_DAYS = 366  # a calendar that stays closed for a year never opens

_SHAPE = "{where}: expected a list of [HH:MM, HH:MM] pairs"
Interval = tuple[time, time]


def _moment(text: object, where: str) -> time:
    if text == "24:00":
        return time.max
    try:
        return time.fromisoformat(str(text))
    except ValueError as error:
        raise ValueError(f"{where}: {text!r} is not a time HH:MM") from error


def _intervals(value: object, where: str) -> tuple[Interval, ...]:
    if not isinstance(value, list):
        raise ValueError(_SHAPE.format(where=where))
    intervals = []
    for pair in value:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise ValueError(_SHAPE.format(where=where))
        start, end = _moment(pair[0], where), _moment(pair[1], where)
        if start >= end:
            raise ValueError(f"{where}: {pair[0]} is not before {pair[1]}")
        intervals.append((start, end))
    return tuple(sorted(intervals))


@dataclass(frozen=True)
class Calendar:
    """A week of intervals and the dates that differ from it, in one time zone."""

    week: Mapping[str, tuple[Interval, ...]]
    dates: Mapping[date, tuple[Interval, ...]]
    zone: ZoneInfo

    @classmethod
    def read(cls, week: object, dates: object, zone: str) -> Self:
        """From JSON: `{"mon": [["09:00", "18:00"]]}`. Raises ValueError that names the place."""
        if not isinstance(week, dict) or not isinstance(dates, dict):
            raise ValueError("expected an object of days")
        if unknown := set(week) - set(DAYS):
            raise ValueError(f"unknown day {sorted(unknown)[0]!r}; allowed: {', '.join(DAYS)}")
        return cls(
            week={day: _intervals(value, day) for day, value in week.items()},
            dates={date.fromisoformat(day): _intervals(v, day) for day, v in dates.items()},
            zone=ZoneInfo(zone),
        )

    def _on(self, day: date) -> Iterator[tuple[datetime, datetime]]:
        intervals = self.dates.get(day, self.week.get(DAYS[day.weekday()], ()))
        for start, end in intervals:
            yield (
                datetime.combine(day, start, self.zone),
                datetime.combine(day, end, self.zone),
            )

    def is_open(self, at: datetime) -> bool:
        return any(start <= at < end for start, end in self._on(at.astimezone(self.zone).date()))

    def next_opening(self, at: datetime) -> datetime | None:
        """The first moment from `at` on that is open, in the calendar's zone; None: never."""
        today = at.astimezone(self.zone).date()
        for offset in range(HORIZON_DAYS):
            for start, end in self._on(today + timedelta(days=offset)):
                if at < end:
                    return max(start, at.astimezone(self.zone))
        return None
