//! Windows and freezes out of their text.
//!
//! Knows how days, times and zones are written. Must never know which pipeline or environment they are for.

use super::super::reader::{Keys, Reader, echo};
use super::super::windows::{DAY_MINUTES, canonical_zone, moment, time_zone, zone_names};
use super::super::yaml::Node;
use super::super::{Band, Freeze, Window};
use super::wanted;
use crate::domain::ids::Timestamp;
use crate::domain::nearest::did_you_mean;
use jiff::civil::Date;
use jiff::tz::TimeZone;

pub(super) const FREEZE: Keys = Keys { of: "a freeze", known: &["from", "to", "zone", "reason", "pass"], later: &[] };

const WINDOWS_MAX: usize = 20;
const FREEZES_MAX: usize = 50;
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// The windows of a list; it may be empty.
pub(super) fn windows(r: &mut Reader<'_>, node: &Node) -> Vec<Window> {
    let items = r.list(node, "windows", 0, WINDOWS_MAX).unwrap_or_default();
    items.iter().filter_map(|item| window(r, item)).collect()
}

fn window(r: &mut Reader<'_>, node: &Node) -> Option<Window> {
    let text = r.text(node, "windows", 200)?;
    let parts: Vec<&str> = text.split_whitespace().collect();
    let (days, times, zone) = match parts[..] {
        [days, times, zone] => (days, times, zone),
        [days, times] if days_of(days).is_some() && times_of(times).is_some() => {
            r.wrong(
                node.at,
                format!("{} lacks its time zone. Write it behind, for instance `Europe/Berlin` or `UTC`.", echo(text)),
            );
            return None;
        }
        _ => {
            r.wrong(
                node.at,
                format!(
                    "A window must be days, times and a zone, as `Mon-Fri 09:00-16:00 Europe/Berlin`, not {}.",
                    echo(text)
                ),
            );
            return None;
        }
    };
    let open_on = days_of(days);
    if open_on.is_none() {
        r.wrong(
            node.at,
            format!("{} are no days: write `Mon`, `Mon-Fri`, `Mon,Wed,Fri`, `Sat-Mon` or `daily`.", echo(days)),
        );
    }
    let open_at = times_of(times);
    match open_at {
        None => r.wrong(
            node.at,
            format!("{} are no times: write `09:00-16:00`; the end may be `24:00` or be on the next day.", echo(times)),
        ),
        Some((from, to)) if from == to => {
            r.wrong(node.at, format!("{} ends where it begins. The whole day is `00:00-24:00`.", echo(times)))
        }
        Some(_) => {}
    }
    let zone = self::zone(r, node, zone);
    let ((from, to), days) = open_at.zip(open_on)?;
    Some(Window { days, from, to, zone: zone?, text: parts.join(" ") })
}

/// The canonical name of a zone, or a problem.
fn zone(r: &mut Reader<'_>, node: &Node, name: &str) -> Option<String> {
    let found = canonical_zone(name);
    if found.is_none() {
        let hint = if r.is_full() { String::new() } else { nearest_zone(name) };
        r.wrong(node.at, format!("{} is not a time zone such as `Europe/Berlin` or `UTC`.{hint}", echo(name)));
    }
    found
}

/// The zone that somebody meant by a city alone, or by a name with a slip in it.
fn nearest_zone(name: &str) -> String {
    let names = zone_names();
    let city = |zone: &&String| zone.rsplit_once('/').is_some_and(|(_, city)| city.eq_ignore_ascii_case(name));
    match names.iter().find(city) {
        Some(zone) => format!(" Did you mean `{zone}`?"),
        None => did_you_mean(name, names.iter().map(String::as_str)),
    }
}

fn days_of(text: &str) -> Option<[bool; 7]> {
    if text == "*" || text.eq_ignore_ascii_case("daily") {
        return Some([true; 7]);
    }
    let day = |name: &str| DAYS.iter().position(|day| day.eq_ignore_ascii_case(name));
    let mut open = [false; 7];
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (day(first)?, day(last)?);
        let length = (last + 7 - first) % 7;
        for offset in 0..=length {
            *open.get_mut((first + offset) % 7)? = true;
        }
    }
    Some(open)
}

fn times_of(text: &str) -> Option<(u16, u16)> {
    let (from, to) = text.split_once('-')?;
    Some((minutes_of(from).filter(|from| *from < DAY_MINUTES)?, minutes_of(to)?))
}

/// Minutes of `9:00`, `16:30` or `24:00`.
fn minutes_of(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |text: &str, least: usize| {
        let good = (least..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        if good { text.parse::<u16>().ok() } else { None }
    };
    let (hours, minutes) = (number(hours, 1)?, number(minutes, 2).filter(|m| *m < 60)?);
    Some(hours * 60 + minutes).filter(|of_day| *of_day <= DAY_MINUTES)
}

/// The freezes of a list; it may be empty.
pub(super) fn freezes(r: &mut Reader<'_>, node: &Node) -> Vec<Freeze> {
    let items = r.list(node, "freezes", 0, FREEZES_MAX).unwrap_or_default();
    items.iter().filter_map(|item| freeze(r, item)).collect()
}

fn freeze(r: &mut Reader<'_>, node: &Node) -> Option<Freeze> {
    let fields = r.fields(node, &FREEZE)?;
    let zone = match fields.get("zone") {
        Some(node) => r.text(node, "zone", 100).and_then(|name| self::zone(r, node, name)),
        None => Some("UTC".to_owned()),
    };
    // In a zone that is not known the ends are still looked at, for what else may be wrong with them.
    let local = time_zone(zone.as_deref().unwrap_or("UTC"));
    let from = wanted(r, &fields, "from", "a freeze").and_then(|node| end(r, node, "from", &local));
    let to = wanted(r, &fields, "to", "a freeze").and_then(|node| end(r, node, "to", &local));
    let reason = fields.get("reason").map_or(Some("freeze"), |node| r.text(node, "reason", 200));
    let pass = fields.get("pass").and_then(|node| {
        let bands = [Band::Low, Band::Moderate, Band::High].map(|band| (band.word(), band));
        r.choice(node, "pass", &bands)
    });
    let (from, to) = from.zip(to)?;
    if to <= from {
        r.wrong(
            fields.get("to").map_or(node.at, |node| node.at),
            "`to` must be after `from`: this freeze never holds.",
        );
    }
    Some(Freeze { from, to, reason: reason?.to_owned(), pass, zone: zone? })
}

/// Where a freeze begins or ends. A day as its end is frozen whole.
fn end(r: &mut Reader<'_>, node: &Node, name: &str, zone: &TimeZone) -> Option<Timestamp> {
    let text = r.text(node, name, 60)?;
    let found = end_of(text, if name == "to" { DAY_MINUTES } else { 0 }, zone);
    if found.is_none() {
        r.wrong(
            node.at,
            format!(
                "`{name}` must be a day such as `2026-12-20`, a time such as `2026-12-20 18:00`, or a moment such as \
                 `2026-12-20T18:00:00+01:00`, not {}.",
                echo(text)
            ),
        );
    }
    found
}

fn end_of(text: &str, minutes_of_day: u16, zone: &TimeZone) -> Option<Timestamp> {
    let (day, rest) = text.split_at_checked(10)?;
    let digits = day.bytes().enumerate().all(|(i, b)| if i == 4 || i == 7 { b == b'-' } else { b.is_ascii_digit() });
    let date = day.parse::<Date>().ok().filter(|_| digits)?;
    if rest.is_empty() {
        return moment(date, minutes_of_day, zone);
    }
    let time = rest.strip_prefix([' ', 'T'])?;
    match minutes_of(time) {
        Some(minutes) => moment(date, minutes, zone),
        // The library would take a zone in brackets too, and not look whether it fits.
        None if time.contains('[') => None,
        None => Some(Timestamp(text.parse::<jiff::Timestamp>().ok()?.as_millisecond())),
    }
}
