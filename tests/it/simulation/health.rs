//! What runs outside GitHub: which commits are bad, how the world feels with them, and what it answers.
//!
//! Knows what landed and what was drawn. Must never know how an answer is judged by the code under test: it has its own
//! judgement, which is simple because its answers are never close calls.

use super::chance::mixed;
use super::scene::Scene;
use plimsoll::domain::facts::{Absence, CheckStanding, CheckState, Fact};
use plimsoll::domain::ids::*;
use plimsoll::domain::policy::{Probe, Verification};
use plimsoll::domain::reading::{Question, Reading, Series};
use plimsoll::domain::release::verify;
use plimsoll::domain::risk::{ChangeMetrics, HistoryMetrics, Known, Past};
use plimsoll::sandbox::model::RunState;

fn drawn(scene: &Scene, of: &str, salt: u64) -> u64 {
    let hash = of.bytes().fold(salt, |hash, byte| mixed(hash ^ u64::from(byte)));
    mixed(scene.seed ^ hash)
}

/// Whether a commit breaks what it runs on.
pub fn is_bad(scene: &Scene, sha: &str) -> bool {
    drawn(scene, sha, 1).is_multiple_of(5)
}

/// Whether an artifact of this name is still there; it is or is not for the whole life of a world.
pub fn has_artifact(scene: &Scene, name: &str) -> bool {
    !drawn(scene, name, 2).is_multiple_of(4)
}

/// The commit that a service runs in an environment, in the newest portion: of the last run that has begun.
pub fn runs(scene: &Scene, service: &ServiceName, environment: &str) -> Option<String> {
    let here = scene.record.landings.iter().rev().filter(|landing| {
        landing.step.is_some() && landing.service == *service && landing.environment.as_str() == environment
    });
    here.filter(|landing| match scene.model.runs.get(&landing.id).map(|run| &run.state) {
        Some(RunState::Completed { conclusion, .. }) => conclusion == "success",
        Some(RunState::InProgress { .. }) => true,
        Some(RunState::Queued) | None => false,
    })
    .map(|landing| landing.sha.clone())
    .next()
}

/// What a repository's history says of a pull request: some worlds keep none, and some read it for a while.
pub fn past(scene: &Scene, number: PullNumber, head_sha: &Sha) -> Fact {
    let world = drawn(scene, "past", 5);
    if world.is_multiple_of(2) {
        return Fact::Absent(Absence::NotFound);
    }
    if world.is_multiple_of(5) {
        return Fact::Absent(Absence::Unusable { message: "It is larger than 2 GB.".into() });
    }
    let read_at = super::START + (world / 16 % 900) as i64 * 1_000;
    if scene.now < read_at {
        return Fact::Past(Past::Reading);
    }
    let n = drawn(scene, head_sha.as_str(), number.0);
    let history = HistoryMetrics {
        developers: Some((n % 40) as f64),
        experience: Some((n / 64 % 900) as f64),
        earlier_fixes: (!n.is_multiple_of(3)).then_some((n / 4_096 % 50) as f64),
        ..HistoryMetrics::default()
    };
    let metrics = ChangeMetrics { history: Some(Box::new(history)), ..ChangeMetrics::default() };
    let recent = (0..world % 60).map(|of| (mixed(of ^ world) % 1_000) as f64 / 1_000.0).collect();
    Fact::Past(Past::Known(Box::new(Known { metrics, recent, ..Known::default() })))
}

/// How the world answers, at this moment.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mood {
    Well,
    Ill,
    Silent,
    Unclear,
}

fn mood(scene: &mut Scene, sha: Option<&str>) -> Mood {
    let bad = sha.is_some_and(|sha| is_bad(scene, sha));
    // One world in three is flaky.
    if scene.seed.is_multiple_of(3) && scene.chance.one_in(6) {
        return *scene.chance.pick(&[Mood::Ill, Mood::Silent, Mood::Unclear, Mood::Well]);
    }
    // Some worlds never say anything.
    if drawn(scene, "silence", 3).is_multiple_of(25) {
        return Mood::Unclear;
    }
    if bad { Mood::Ill } else { Mood::Well }
}

/// Answers a question that a lane's turn asks.
pub fn reading(scene: &mut Scene, service: Option<&ServiceName>, question: &Question) -> Reading {
    let text = match question {
        Question::Http { url, .. } => url.clone(),
        Question::Prometheus { query, .. } => query.clone(),
    };
    let environment = if text.contains("production") { "production" } else { "staging" };
    let sha = service.and_then(|service| runs(scene, service, environment));
    let mood = mood(scene, sha.as_deref());
    let silent = || Reading::Unanswered { because: "it did not answer within 5 s".to_owned() };
    let response = |status, value| Reading::Response { status, took: Span(20), value };
    match question {
        Question::Http { url, .. } if url.ends_with("/live") => match mood {
            Mood::Well => response(200, sha),
            Mood::Ill => response(200, Some("0123456789abcdef0123456789abcdef01234567".to_owned())),
            Mood::Silent => silent(),
            Mood::Unclear => response(200, None),
        },
        Question::Http { .. } => match mood {
            Mood::Well => response(200, None),
            Mood::Ill => response(503, None),
            Mood::Silent => silent(),
            Mood::Unclear => Reading::Unasked { because: "the host is not on the list".to_owned() },
        },
        Question::Prometheus { at, .. } => {
            // What was before the release is always fine.
            let past = at.0 + 4_000 < scene.now && text.starts_with("slow");
            let samples = |value: f64| Reading::Samples(vec![Series { labels: "{}".into(), samples: vec![value] }]);
            match mood {
                _ if past => samples(0.02),
                Mood::Well => samples(0.02),
                Mood::Ill => samples(0.5),
                Mood::Silent => silent(),
                Mood::Unclear => Reading::Samples(Vec::new()),
            }
        }
    }
}

/// Checks of others on a commit.
pub fn checks(scene: &Scene, sha: &Sha) -> Vec<CheckState> {
    let standing = match drawn(scene, sha.as_str(), 4) % 12 {
        0 => return Vec::new(),
        1 => CheckStanding::Pending,
        2 => CheckStanding::Neutral,
        _ if is_bad(scene, sha.as_str()) => CheckStanding::Failure,
        _ => CheckStanding::Success,
    };
    vec![CheckState { name: "e2e".into(), app: None, standing, url: None }]
}

/// What the readings of one turn say of a verification: good, bad, nothing, or that it has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    Good,
    Bad,
    Nothing,
    Waits,
}

/// The world's own judgement of its answers; `None`: this turn did not ask.
pub fn judged(
    verification: &Verification,
    sha: &Sha,
    started_at: Timestamp,
    at: Timestamp,
    heard: &[(Question, Reading)],
) -> Option<Said> {
    let questions = verify::questions(&verification.probe, started_at, at);
    let answers: Option<Vec<&Reading>> =
        questions.iter().map(|asked| heard.iter().find(|(q, _)| q == asked).map(|(_, reading)| reading)).collect();
    let answers = answers.filter(|answers| !answers.is_empty())?;
    let values = |reading: &Reading| match reading {
        Reading::Samples(series) => series.first().and_then(|one| one.samples.first()).copied(),
        Reading::Response { .. } | Reading::Unanswered { .. } | Reading::Unasked { .. } => None,
    };
    Some(match (&verification.probe, answers[0]) {
        (_, Reading::Unasked { .. }) => Said::Nothing,
        (Probe::Http { .. } | Probe::Live { .. }, Reading::Unanswered { .. }) => Said::Bad,
        (Probe::Http { .. }, Reading::Response { status, .. }) => {
            if *status == 200 {
                Said::Good
            } else {
                Said::Bad
            }
        }
        (Probe::Live { .. }, Reading::Response { value, .. }) => match value {
            None => Said::Nothing,
            Some(value) if value == sha.as_str() => Said::Good,
            Some(_) => Said::Bad,
        },
        (_, _) => {
            let values: Option<Vec<f64>> = answers.iter().map(|reading| values(reading)).collect();
            match values.as_deref() {
                None => Said::Nothing,
                Some([now]) => {
                    if *now < 0.05 {
                        Said::Good
                    } else {
                        Said::Bad
                    }
                }
                Some([now, before, ..]) => {
                    if *now <= *before + 0.01 {
                        Said::Good
                    } else {
                        Said::Bad
                    }
                }
                Some([]) => Said::Nothing,
            }
        }
    })
}

/// The same of a check on the commit.
pub fn check_judged(name: &str, checks: &[CheckState]) -> Said {
    match checks.iter().find(|check| check.name == name).map(|check| check.standing) {
        Some(CheckStanding::Success) => Said::Good,
        Some(CheckStanding::Failure) => Said::Bad,
        Some(CheckStanding::Pending) => Said::Waits,
        Some(CheckStanding::Neutral) | None => Said::Nothing,
    }
}
