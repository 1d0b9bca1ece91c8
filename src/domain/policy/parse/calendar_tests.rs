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
    insta::assert_snapshot!(windows.map(read).join("\n"), @"");
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
    insta::assert_snapshot!(told(&rest), @"");
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
    insta::assert_snapshot!(told.collect::<Vec<_>>().join("\n"), @"");
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
    insta::assert_snapshot!(told(&rest), @"");
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
