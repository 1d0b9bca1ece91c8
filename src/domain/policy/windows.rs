//! When releases may go: weekly windows in a time zone, and freezes.
//!
//! Knows calendars and time zones, those of the binary, whatever the machine has. Must never know what time it is: it is
//! told.

use super::Band;
use crate::domain::ids::*;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use serde::{Deserialize, Serialize};

/// Minutes of a day.
pub(super) const DAY_MINUTES: u16 = 24 * 60;
/// Days that are searched for a change: windows repeat after seven, and a change of the clock moves a day's end.
const SEARCHED_DAYS: u8 = 9;
/// From here on a date is shown and not only a weekday.
const WEEKDAY_ENOUGH: Span = Span::hours(6 * 24);

/// A weekly time in which steps may begin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// From Monday.
    pub days: [bool; 7],
    /// Minutes of the day, local time; `to` is where it closes, 1440 at most. `from` > `to`: it ends on the next day.
    pub from: u16,
    pub to: u16,
    /// IANA name, for instance `Europe/Berlin`.
    pub zone: String,
    /// As the policy writes it.
    pub text: String,
}

/// A time in which steps may not begin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freeze {
    pub from: Timestamp,
    /// The first moment after it.
    pub to: Timestamp,
    pub reason: String,
    /// Releases of this band or a lower one pass; `None`: none does.
    pub pass: Option<Band>,
    /// IANA name, to show its ends in.
    pub zone: String,
}

/// Says whether a step may begin now. No window at all: always.
///
/// A local time that a change of the clock leaves out moves forward by as much; of one that comes twice the first counts.
pub fn is_open(windows: &[Window], now: Timestamp) -> bool {
    windows.is_empty() || windows.iter().any(|window| openings(window, now, 1).any(|one| one.holds(now)))
}

/// The first moment after `now` at which [`is_open`] answers otherwise; `None` when it does not within nine days, and then
/// it never does.
pub fn next_change(windows: &[Window], now: Timestamp) -> Option<Timestamp> {
    let openings = windows.iter().map(|window| openings(window, now, SEARCHED_DAYS + 1));
    if !is_open(windows, now) {
        // Those of one window come in order, so that the first is enough of each.
        return openings.filter_map(|mut of_one| of_one.find(|one| one.from > now)).map(|one| one.from).min();
    }
    let openings: Vec<Opening> = openings.flatten().filter(|one| one.to > now).collect();
    let last = now.plus(Span::hours(24 * u64::from(SEARCHED_DAYS)));
    let mut closes = now;
    while let Some(longer) = openings.iter().filter(|one| one.holds(closes)).map(|one| one.to).max() {
        if longer > last {
            return None;
        }
        closes = longer;
    }
    (closes > now).then_some(closes)
}

/// The freeze that keeps a release of this band now; of several the one that ends last.
///
/// `None` for a band means that the risk is not known, and then it passes nothing.
pub fn frozen(freezes: &[Freeze], now: Timestamp, band: Option<Band>) -> Option<&Freeze> {
    let passed = |freeze: &Freeze| freeze.pass.zip(band).is_some_and(|(pass, band)| band <= pass);
    freezes
        .iter()
        .filter(|freeze| freeze.from <= now && now < freeze.to && !passed(freeze))
        .max_by_key(|freeze| freeze.to)
}

/// The first moment after `now` at which a freeze begins or ends, whatever else holds then; `None` when none does.
pub fn next_freeze_change(freezes: &[Freeze], now: Timestamp) -> Option<Timestamp> {
    freezes.iter().flat_map(|freeze| [freeze.from, freeze.to]).filter(|at| *at > now).min()
}

/// A moment in a zone, whole: `Mon 2026-11-23 09:00 Europe/Berlin`.
pub fn shown(at: Timestamp, zone: &str) -> String {
    format!("{} {zone}", local(at, &time_zone(zone)).strftime("%a %Y-%m-%d %H:%M"))
}

/// A moment that is to come, for a line of a page: `Mon 09:00 Berlin, in 14 h`, with its date when it is more than six
/// days away. A moment that is not after `now` is `now`.
pub fn preview(at: Timestamp, now: Timestamp, zone: &str) -> String {
    let far = at.since(now) > WEEKDAY_ENOUGH;
    let local = local(at, &time_zone(zone)).strftime(if far { "%a %Y-%m-%d %H:%M" } else { "%a %H:%M" }).to_string();
    let place = zone.rsplit('/').next().unwrap_or(zone).replace('_', " ");
    format!("{local} {place}, {}", ahead(at.since(now)))
}

fn ahead(span: Span) -> String {
    let minutes = span.0.div_ceil(60_000);
    let hours = minutes.saturating_add(30) / 60;
    match (minutes, hours) {
        (0, _) => "now".to_owned(),
        (1..60, _) => format!("in {minutes} min"),
        (_, ..48) => format!("in {hours} h"),
        _ => format!("in {} days", (hours + 12) / 24),
    }
}

/// The name of a time zone as the database writes it, in whatever case it is asked for; `None` when there is none.
pub(super) fn canonical_zone(name: &str) -> Option<String> {
    let zone = TimeZoneDatabase::bundled().get(name).ok()?;
    zone.iana_name().filter(|canonical| *canonical != "Etc/Unknown").map(str::to_owned)
}

/// The moment of a local time in a zone: see [`is_open`] for times that are not or come twice.
///
/// `minutes` may be [`DAY_MINUTES`], the beginning of the next day. `None` past the end of the calendar.
pub(super) fn moment(date: Date, minutes: u16, zone: &TimeZone) -> Option<Timestamp> {
    let date = if minutes < DAY_MINUTES { date } else { date.tomorrow().ok()? };
    let minutes = i8::try_from(minutes % DAY_MINUTES / 60).ok().zip(i8::try_from(minutes % 60).ok());
    let time = minutes.and_then(|(hour, minute)| Time::new(hour, minute, 0, 0).ok())?;
    let at = zone.to_ambiguous_timestamp(DateTime::from_parts(date, time)).compatible().ok()?;
    Some(Timestamp(at.as_millisecond()))
}

/// The zone of a canonical name.
pub(super) fn time_zone(canonical: &str) -> TimeZone {
    // Names were looked up when the policy was read, and names do not leave the database: UTC is never reached.
    TimeZoneDatabase::bundled().get(canonical).unwrap_or(TimeZone::UTC)
}

/// One time for which a window is open.
#[derive(Clone, Copy)]
struct Opening {
    from: Timestamp,
    to: Timestamp,
}

impl Opening {
    fn holds(self, now: Timestamp) -> bool {
        self.from <= now && now < self.to
    }
}

/// When a window opens, in order, from two days before the local day of `now` to `days` after it.
///
/// Two days before, because one that ends on the next day can be moved into a third when the clock changes at midnight; and
/// at least one day after, because there the clock can go back into the day before.
fn openings(window: &Window, now: Timestamp, days: u8) -> impl Iterator<Item = Opening> {
    let zone = time_zone(&window.zone);
    let today = local(now, &zone).date();
    let first = today.yesterday().and_then(Date::yesterday).unwrap_or(Date::MIN);
    let dates = first.series(jiff::Span::new().days(1)).take(usize::from(days) + 3);
    let open_on = |date: Date| {
        let day = usize::try_from(date.weekday().to_monday_zero_offset()).unwrap_or_default();
        window.days.get(day).copied().unwrap_or_default()
    };
    dates.filter(move |date| open_on(*date)).filter_map(move |date| {
        let last = if window.from < window.to { date } else { date.tomorrow().ok()? };
        let opening = Opening { from: moment(date, window.from, &zone)?, to: moment(last, window.to, &zone)? };
        // When the clock leaves out where it opens, it can end before it begins.
        (opening.from < opening.to).then_some(opening)
    })
}

fn local(at: Timestamp, zone: &TimeZone) -> DateTime {
    let outside = if at.0 < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
    zone.to_datetime(jiff::Timestamp::from_millisecond(at.0).unwrap_or(outside))
}

#[cfg(test)]
#[path = "windows_tests.rs"]
mod tests;
