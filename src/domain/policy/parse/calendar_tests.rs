use super::tests::{STAGING, good, told};
use super::*;

fn staging(line: &str) -> EnvironmentPolicy {
    good(&format!("version: 1\n{STAGING}      {line}\n")).pipeline.expect("a pipeline").environments.remove(0)
}

/// Days as letters, times in minutes, zone.
fn read(window: &str) -> String {
    let window = staging(&format!("windows: [\"{window}\"]")).windows.remove(0);
    let days: String = "MTWTFSS".chars().zip(window.days).map(|(day, open)| if open { day } else { '.' }).collect();
    format!("{days} {}-{} {}", window.from, window.to, window.zone)
}

#[test]
fn windows_are_read_as_people_write_them() {
    let windows = [
        "Mon 09:00-16:00 Europe/Berlin",
        "Mon-Fri 9:00-16:30 europe/berlin",
        "Mon,Wed,Fri 00:00-24:00 UTC",
        "Sat-Mon 22:00-04:00 Asia/Kolkata",
        "mon-tue,SAT  10:00-12:00\u{20} utc",
        "daily 08:00-00:00 Australia/Adelaide",
        "* 08:00-20:00 America/Argentina/Buenos_Aires",
        "Tue-Tue 01:00-02:00 UTC",
    ];
    insta::assert_snapshot!(windows.map(read).join("\n"), @r"
    M...... 540-960 Europe/Berlin
    MTWTF.. 540-990 Europe/Berlin
    M.W.F.. 0-1440 UTC
    M....SS 1320-240 Asia/Kolkata
    MT...S. 600-720 UTC
    MTWTFSS 480-0 Australia/Adelaide
    MTWTFSS 480-1200 America/Argentina/Buenos_Aires
    .T..... 60-120 UTC
    ");
}

#[test]
fn a_window_keeps_its_words() {
    let window = staging("windows: [\"  Mon-Fri   9:00-16:00 europe/berlin \"]").windows.remove(0);
    assert_eq!((window.text.as_str(), window.zone.as_str()), ("Mon-Fri 9:00-16:00 europe/berlin", "Europe/Berlin"));
}

#[test]
fn what_is_wrong_with_a_window_is_told() {
    let rest = format!(
        "{STAGING}      windows:
        - Mon-Fri 09:00-16:00
        - Mon-Fri 09:00 - 16:00 UTC
        - weekdays 09:00-16:00 UTC
        - Mon-Fry 9-17 UTC
        - Mon 24:00-02:00 UTC
        - Mon 09:00-25:00 UTC
        - Mon 09:60-10:00 UTC
        - Mon 09:00-09:00 UTC
        - Mon 09:00-16:00 Berlin
        - Mon 09:00-16:00 Europe/Berlim
        - Mon 09:00-16:00 CEST
        - Mon 09:00-16:00 ../../etc/passwd
        - 5
        - {{ days: Mon }}
"
    );
    insta::assert_snapshot!(told(&rest), @r"
    plimsoll.yml line 7, column 11: `Mon-Fri 09:00-16:00` lacks its time zone. Write it behind, for instance `Europe/Berlin` or `UTC`.
    plimsoll.yml line 8, column 11: A window must be days, times and a zone, as `Mon-Fri 09:00-16:00 Europe/Berlin`, not `Mon-Fri 09:00 - 16:00 UTC`.
    plimsoll.yml line 9, column 11: `weekdays` are no days: write `Mon`, `Mon-Fri`, `Mon,Wed,Fri`, `Sat-Mon` or `daily`.
    plimsoll.yml line 10, column 11: `Mon-Fry` are no days: write `Mon`, `Mon-Fri`, `Mon,Wed,Fri`, `Sat-Mon` or `daily`.
    plimsoll.yml line 10, column 11: `9-17` are no times: write `09:00-16:00`; the end may be `24:00` or be on the next day.
    plimsoll.yml line 11, column 11: `24:00-02:00` are no times: write `09:00-16:00`; the end may be `24:00` or be on the next day.
    plimsoll.yml line 12, column 11: `09:00-25:00` are no times: write `09:00-16:00`; the end may be `24:00` or be on the next day.
    plimsoll.yml line 13, column 11: `09:60-10:00` are no times: write `09:00-16:00`; the end may be `24:00` or be on the next day.
    plimsoll.yml line 14, column 11: `09:00-09:00` ends where it begins. The whole day is `00:00-24:00`.
    plimsoll.yml line 15, column 11: `Berlin` is not a time zone such as `Europe/Berlin` or `UTC`. Did you mean `Europe/Berlin`?
    plimsoll.yml line 16, column 11: `Europe/Berlim` is not a time zone such as `Europe/Berlin` or `UTC`. Did you mean `Europe/Berlin`?
    plimsoll.yml line 17, column 11: `CEST` is not a time zone such as `Europe/Berlin` or `UTC`. Did you mean `CET`?
    plimsoll.yml line 18, column 11: `../../etc/passwd` is not a time zone such as `Europe/Berlin` or `UTC`.
    plimsoll.yml line 19, column 11: `windows` must be text, not the number 5.
    plimsoll.yml line 20, column 11: `windows` must be text, not a mapping.
    ");
}

#[test]
fn freezes_are_read_by_day_by_minute_and_by_moment() {
    let freezes = staging(
        "freezes:
        - { from: 2026-12-20, to: 2027-01-02, zone: europe/berlin, reason: holidays, pass: low }
        - { from: 2026-12-24, to: 2026-12-24 }
        - { from: 2026-12-20 18:00, to: 2026-12-20 24:00, zone: Asia/Kolkata }
        - { from: '2026-12-20T18:00', to: 2026-12-21T03:00:00+01:00, pass: high }
        - { from: '2026-12-20T18:00:00Z', to: '2026-12-20 20:00:30-05:00' }",
    )
    .freezes;
    let told = freezes.iter().map(|freeze| {
        let at = |at: Timestamp| windows::shown(at, "UTC");
        format!("{} to {}, {}, {}, {:?}", at(freeze.from), at(freeze.to), freeze.zone, freeze.reason, freeze.pass)
    });
    insta::assert_snapshot!(told.collect::<Vec<_>>().join("\n"), @r"
    Sat 2026-12-19 23:00 UTC to Sat 2027-01-02 23:00 UTC, Europe/Berlin, holidays, Some(Low)
    Thu 2026-12-24 00:00 UTC to Fri 2026-12-25 00:00 UTC, UTC, freeze, None
    Sun 2026-12-20 12:30 UTC to Sun 2026-12-20 18:30 UTC, Asia/Kolkata, freeze, None
    Sun 2026-12-20 18:00 UTC to Mon 2026-12-21 02:00 UTC, UTC, freeze, Some(High)
    Sun 2026-12-20 18:00 UTC to Mon 2026-12-21 01:00 UTC, UTC, freeze, None
    ");
}

#[test]
fn what_is_wrong_with_a_freeze_is_told() {
    let rest = format!(
        "{STAGING}      freezes:
        - {{ from: 2026-12-20 }}
        - {{ from: 2026-12-20, to: 2026-12-19 }}
        - {{ from: 2026-12-20 10:00, to: 2026-12-20 10:00 }}
        - {{ from: 2026-02-30, to: 20261220 }}
        - {{ from: 20. Dezember, to: 2026-12-20T18 }}
        - {{ from: '2026-12-20T18:00:00', to: '2026-12-20T18:00:00+01:00[Europe/London]' }}
        - {{ from: 2026-12-20, to: 2026-12-21, zone: Berlin, pass: critical, reason: '', until: x }}
"
    );
    insta::assert_snapshot!(told(&rest), @r"
    plimsoll.yml line 7, column 11: `to` is missing: a freeze needs it.
    plimsoll.yml line 8, column 35: `to` must be after `from`: this freeze never holds.
    plimsoll.yml line 9, column 41: `to` must be after `from`: this freeze never holds.
    plimsoll.yml line 10, column 19: `from` must be a day such as `2026-12-20`, a time such as `2026-12-20 18:00`, or a moment such as `2026-12-20T18:00:00+01:00`, not `2026-02-30`.
    plimsoll.yml line 10, column 35: `to` must be text, not the number 20261220.
    plimsoll.yml line 11, column 19: `from` must be a day such as `2026-12-20`, a time such as `2026-12-20 18:00`, or a moment such as `2026-12-20T18:00:00+01:00`, not `20. Dezember`.
    plimsoll.yml line 11, column 37: `to` must be a day such as `2026-12-20`, a time such as `2026-12-20 18:00`, or a moment such as `2026-12-20T18:00:00+01:00`, not `2026-12-20T18`.
    plimsoll.yml line 12, column 19: `from` must be a day such as `2026-12-20`, a time such as `2026-12-20 18:00`, or a moment such as `2026-12-20T18:00:00+01:00`, not `2026-12-20T18:00:00`.
    plimsoll.yml line 12, column 46: `to` must be a day such as `2026-12-20`, a time such as `2026-12-20 18:00`, or a moment such as `2026-12-20T18:00:00+01:00`, not `2026-12-20T18:00:00+01:00[Europe/London]`.
    plimsoll.yml line 13, column 53: `Berlin` is not a time zone such as `Europe/Berlin` or `UTC`. Did you mean `Europe/Berlin`?
    plimsoll.yml line 13, column 67: `pass` must be `low` or `moderate` or `high`, not `critical`.
    plimsoll.yml line 13, column 85: `reason` must be one line of visible characters.
    plimsoll.yml line 13, column 89: Unknown key `until`. A freeze may have `from`, `to`, `zone`, `reason`, `pass`.
    ");
}

#[test]
fn very_many_windows_and_freezes_are_refused_quickly() {
    let windows = vec!["Mon 09:00-16:00 Nowhere/Nowhere"; 3_000].join(", ");
    assert!(told(&format!("{STAGING}      windows: [{windows}]\n")).contains("at most 20 items"));
    let list = format!("[{}]", vec!["{ from: 2026-12-20, to: 2026-12-21, zone: Nowhere/Nowhere }"; 50].join(", "));
    let environments: String = (0..20)
        .map(|i| {
            format!("    - name: e{i}\n      freezes: {}\n", if i == 0 { format!("&f {list}") } else { "*f".into() })
        })
        .collect();
    let rest = format!("pipeline:\n  trigger: {{ workflow: deploy.yml }}\n  environments:\n{environments}");
    assert!(told(&rest).ends_with("There are 950 more problems."));
}
