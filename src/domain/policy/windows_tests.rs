use super::*;

fn at(text: &str) -> Timestamp {
    Timestamp(text.parse::<jiff::Timestamp>().expect("a moment").as_millisecond())
}

fn window(days: &str, from: u16, to: u16, zone: &str) -> Window {
    let days: Vec<bool> = days.chars().map(|c| c != '.').collect();
    Window { days: days.try_into().expect("seven"), from, to, zone: zone.to_owned(), text: String::new() }
}

/// Every change from `now` on within `days`, as UTC.
fn changes(windows: &[Window], now: &str, days: u64) -> String {
    let (mut now, last) = (at(now), at(now).plus(Span::hours(24 * days)));
    let mut lines = Vec::new();
    while let Some(next) = next_change(windows, now).filter(|next| *next <= last) {
        lines.push(format!("{} {}", shown(next, "UTC"), if is_open(windows, next) { "open" } else { "closed" }));
        now = next;
    }
    lines.join("\n")
}

#[test]
fn no_window_is_always_open() {
    assert!(is_open(&[], Timestamp(0)));
    assert_eq!(next_change(&[], Timestamp(0)), None);
}

#[test]
fn a_window_opens_on_its_days_and_closes_at_its_end() {
    let windows = [window("MTWTF..", 9 * 60, 16 * 60, "Europe/Berlin")];
    assert!(!is_open(&windows, at("2026-11-20T07:59:59.999Z")));
    assert!(is_open(&windows, at("2026-11-20T08:00:00Z")));
    assert!(is_open(&windows, at("2026-11-20T14:59:59.999Z")));
    assert!(!is_open(&windows, at("2026-11-20T15:00:00Z")));
    insta::assert_snapshot!(changes(&windows, "2026-11-20T00:00:00Z", 4), @"
    Fri 2026-11-20 08:00 UTC open
    Fri 2026-11-20 15:00 UTC closed
    Mon 2026-11-23 08:00 UTC open
    Mon 2026-11-23 15:00 UTC closed
    ");
}

#[test]
fn a_window_past_midnight_ends_on_the_next_day() {
    let windows = [window("....F.S", 22 * 60, 4 * 60, "Asia/Kolkata")];
    insta::assert_snapshot!(changes(&windows, "2026-11-20T00:00:00Z", 4), @"
    Fri 2026-11-20 16:30 UTC open
    Fri 2026-11-20 22:30 UTC closed
    Sun 2026-11-22 16:30 UTC open
    Sun 2026-11-22 22:30 UTC closed
    ");
}

#[test]
fn windows_that_touch_or_overlap_are_one() {
    let windows = [
        window("M......", 9 * 60, 12 * 60, "Europe/Berlin"),
        window("M......", 12 * 60, DAY_MINUTES, "Europe/Berlin"),
        window("MT.....", 0, 60, "UTC"),
    ];
    insta::assert_snapshot!(changes(&windows, "2026-11-23T00:30:00Z", 5), @"
    Mon 2026-11-23 01:00 UTC closed
    Mon 2026-11-23 08:00 UTC open
    Mon 2026-11-23 23:00 UTC closed
    Tue 2026-11-24 00:00 UTC open
    Tue 2026-11-24 01:00 UTC closed
    ");
}

#[test]
fn a_window_that_never_closes_never_changes() {
    let whole = [window("MTWTFSS", 0, DAY_MINUTES, "Europe/Berlin")];
    let halves = [window("MTWTFSS", 600, 1200, "America/Nuuk"), window("MTWTFSS", 1200, 600, "America/Nuuk")];
    for now in ["2026-03-25T12:00:00Z", "2026-10-24T22:30:00Z", "2026-07-01T00:00:00Z"] {
        for windows in [&whole[..], &halves[..]] {
            assert!(is_open(windows, at(now)));
            assert_eq!(next_change(windows, at(now)), None);
        }
    }
}

#[test]
fn the_clock_going_forward_moves_what_it_leaves_out() {
    let zone = "Europe/Berlin";
    // 2026-03-29: 02:00 is 03:00, at 01:00 UTC.
    let over = [window("......S", 60, 4 * 60, zone)];
    insta::assert_snapshot!(changes(&over, "2026-03-28T12:00:00Z", 2), @"
    Sun 2026-03-29 00:00 UTC open
    Sun 2026-03-29 02:00 UTC closed
    ");
    let within = [window("......S", 135, 165, zone)];
    insta::assert_snapshot!(changes(&within, "2026-03-28T12:00:00Z", 2), @"
    Sun 2026-03-29 01:15 UTC open
    Sun 2026-03-29 01:45 UTC closed
    ");
    let begins_in_it = [window("......S", 150, 190, zone)];
    insta::assert_snapshot!(changes(&begins_in_it, "2026-03-28T12:00:00Z", 9), @"
    Sun 2026-04-05 00:30 UTC open
    Sun 2026-04-05 01:10 UTC closed
    ");
}

#[test]
fn of_a_time_that_comes_twice_the_first_counts() {
    let zone = "Europe/Berlin";
    // 2026-10-25: 03:00 is 02:00 again, at 01:00 UTC.
    insta::assert_snapshot!(changes(&[window("......S", 150, 240, zone)], "2026-10-24T12:00:00Z", 2), @"
    Sun 2026-10-25 00:30 UTC open
    Sun 2026-10-25 03:00 UTC closed
    ");
    insta::assert_snapshot!(changes(&[window("......S", 60, 150, zone)], "2026-10-24T12:00:00Z", 2), @"
    Sat 2026-10-24 23:00 UTC open
    Sun 2026-10-25 00:30 UTC closed
    ");
}

#[test]
fn southern_zones_of_half_hours_change_the_other_way() {
    // Adelaide: +10:30 until 2026-04-05 03:00, then +09:30; +10:30 again from 2026-10-04 02:00.
    let windows = [window("......S", 60, 4 * 60, "Australia/Adelaide")];
    insta::assert_snapshot!(changes(&windows, "2026-04-04T00:00:00Z", 2), @"
    Sat 2026-04-04 14:30 UTC open
    Sat 2026-04-04 18:30 UTC closed
    ");
    insta::assert_snapshot!(changes(&windows, "2026-10-03T00:00:00Z", 2), @"
    Sat 2026-10-03 15:30 UTC open
    Sat 2026-10-03 17:30 UTC closed
    ");
}

#[test]
fn the_ends_of_time_are_no_trouble() {
    let windows = [window("MTWTFSS", 1, 0, "Pacific/Kiritimati"), window("M......", 60, 120, "Pacific/Niue")];
    for now in [i64::MIN, i64::MAX, 253_402_207_200_000, -377_705_023_201_000] {
        is_open(&windows, Timestamp(now));
        next_change(&windows, Timestamp(now));
        shown(Timestamp(now), "Europe/Berlin");
        preview(Timestamp(now), Timestamp(0), "Europe/Berlin");
    }
}

fn freeze(from: i64, to: i64, pass: Option<Band>) -> Freeze {
    Freeze { from: Timestamp(from), to: Timestamp(to), reason: "holidays".into(), pass, zone: "UTC".into() }
}

#[test]
fn of_freezes_in_force_the_last_to_end_is_told() {
    let freezes = [freeze(10, 30, None), freeze(20, 50, None), freeze(15, 40, None), freeze(60, 70, None)];
    let ends = |now| frozen(&freezes, Timestamp(now), Some(Band::Low)).map(|freeze| freeze.to.0);
    assert_eq!([9, 10, 15, 20, 49, 50, 60].map(ends), [None, Some(30), Some(40), Some(50), Some(50), None, Some(70)]);
    let next = |now| next_freeze_change(&freezes, Timestamp(now)).map(|at| at.0);
    assert_eq!([0, 10, 20, 50, 69, 70].map(next), [Some(10), Some(15), Some(30), Some(60), Some(70), None]);
}

#[test]
fn a_freeze_lets_pass_what_is_not_riskier_than_it_says() {
    let freezes = [freeze(0, 50, Some(Band::Moderate)), freeze(0, 40, Some(Band::High))];
    let ends = |band| frozen(&freezes, Timestamp(5), band).map(|freeze| freeze.to.0);
    assert_eq!(ends(Some(Band::Low)), None);
    assert_eq!(ends(Some(Band::Moderate)), None);
    assert_eq!(ends(Some(Band::High)), Some(50));
    assert_eq!(ends(Some(Band::Critical)), Some(50));
    assert_eq!(ends(None), Some(50));
}

#[test]
fn a_moment_is_shown_in_its_zone() {
    assert_eq!(shown(at("2026-11-23T08:00:00Z"), "Europe/Berlin"), "Mon 2026-11-23 09:00 Europe/Berlin");
    assert_eq!(shown(at("2026-11-23T08:00:00Z"), "Asia/Kolkata"), "Mon 2026-11-23 13:30 Asia/Kolkata");
}

#[test]
fn what_is_to_come_is_told_with_how_far_it_is() {
    let now = "2026-11-22T18:00:00Z";
    let lines = [
        "2026-11-22T17:00:00Z",
        "2026-11-22T18:00:00Z",
        "2026-11-22T18:00:01Z",
        "2026-11-22T18:20:00Z",
        "2026-11-22T18:59:30Z",
        "2026-11-22T19:29:00Z",
        "2026-11-23T08:00:00Z",
        "2026-11-24T17:00:00Z",
        "2026-11-24T18:00:00Z",
        "2026-11-25T15:00:00Z",
        "2026-11-28T18:00:00Z",
        "2026-11-28T18:00:01Z",
        "2026-12-20T08:00:00Z",
    ]
    .map(|then| preview(at(then), at(now), "Europe/Berlin"));
    insta::assert_snapshot!(lines.join("\n"), @"
    Sun 18:00 Berlin, now
    Sun 19:00 Berlin, now
    Sun 19:00 Berlin, in 1 min
    Sun 19:20 Berlin, in 20 min
    Sun 19:59 Berlin, in 1 h
    Sun 20:29 Berlin, in 1 h
    Mon 09:00 Berlin, in 14 h
    Tue 18:00 Berlin, in 47 h
    Tue 19:00 Berlin, in 2 days
    Wed 16:00 Berlin, in 3 days
    Sat 19:00 Berlin, in 6 days
    Sat 2026-11-28 19:00 Berlin, in 6 days
    Sun 2026-12-20 09:00 Berlin, in 28 days
    ");
    assert_eq!(
        preview(at("2026-11-22T19:00:00Z"), at(now), "America/Argentina/Buenos_Aires"),
        "Sun 16:00 Buenos Aires, in 1 h"
    );
}

#[test]
fn zones_are_found_in_any_case_and_written_in_theirs() {
    assert_eq!(canonical_zone("europe/BERLIN").as_deref(), Some("Europe/Berlin"));
    assert_eq!(canonical_zone("utc").as_deref(), Some("UTC"));
    for none in ["", "CEST5", "Mars/Phobos", "etc/unknown", "/etc/localtime", "Berlin"] {
        assert_eq!(canonical_zone(none), None, "{none}");
    }
}

mod any_windows {
    use super::*;
    use proptest::prelude::*;

    const ZONES: [&str; 9] = [
        "UTC",
        "Europe/Berlin",
        "America/Nuuk",
        "America/St_Johns",
        "Asia/Kolkata",
        "Australia/Adelaide",
        "Australia/Lord_Howe",
        "Pacific/Chatham",
        "Africa/Cairo",
    ];

    fn one() -> impl Strategy<Value = Window> {
        // Mostly near the hours at which clocks change.
        let minute = || prop_oneof![0..DAY_MINUTES, 0..240_u16, 1380..DAY_MINUTES];
        (proptest::array::uniform7(any::<bool>()), minute(), minute(), 0..ZONES.len()).prop_map(
            |(days, from, to, zone)| {
                let to = if to == from { DAY_MINUTES } else { to };
                Window { days, from, to, zone: ZONES[zone].to_owned(), text: String::new() }
            },
        )
    }

    fn moments() -> impl Strategy<Value = Timestamp> {
        let year = at("2026-01-01T00:00:00Z").0;
        let near = |text: &str| {
            let middle = at(text).0;
            middle - 2 * 86_400_000..middle + 2 * 86_400_000
        };
        prop_oneof![
            year..year + 366 * 86_400_000,
            near("2026-03-29T01:00:00Z"),
            near("2026-10-25T01:00:00Z"),
            near("2026-04-04T16:30:00Z"),
            near("2026-10-03T16:30:00Z")
        ]
        .prop_map(Timestamp)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(150))]
        #[test]
        fn change_next_when_they_say_and_never_before(
            windows in proptest::collection::vec(one(), 0..4), now in moments()
        ) {
            let open = is_open(&windows, now);
            let last = match next_change(&windows, now) {
                Some(next) => {
                    prop_assert!(next > now);
                    prop_assert_ne!(is_open(&windows, next), open);
                    Timestamp(next.0 - 1)
                }
                None => now.plus(Span::hours(24 * 10)),
            };
            prop_assert_eq!(is_open(&windows, last), open);
            let mut minute = Timestamp(now.0 - now.0 % 60_000 + 60_000);
            while minute <= last {
                prop_assert_eq!(is_open(&windows, minute), open, "{}", shown(minute, "UTC"));
                minute = minute.plus(Span::minutes(1));
            }
        }

        #[test]
        fn are_open_by_the_clock_on_the_wall(window in one(), day in 0..60_i64, minute in 0..1440_u16) {
            // From June to July none of these clocks changes, so that the wall tells it all.
            let zone = time_zone(&window.zone);
            let date = jiff::civil::date(2026, 6, 1).checked_add(jiff::Span::new().days(day)).expect("a date");
            let now = moment(date, minute, &zone).expect("a moment");
            let today = usize::try_from(date.weekday().to_monday_zero_offset()).expect("a day");
            let (is, was) = (window.days[today], window.days[(today + 6) % 7]);
            let wall = match window.from < window.to {
                true => is && (window.from..window.to).contains(&minute),
                false => is && minute >= window.from || was && minute < window.to,
            };
            prop_assert_eq!(is_open(&[window], now), wall);
        }
    }
}
