//! GitHub's rate limits, remembered, so that nobody asks while GitHub does not want to be asked.
//!
//! Knows the headers and the words of a refusal. Must never know a clock: it is told the time; nor wait: it says how
//! long somebody else should.

use crate::domain::ids::{Span, Timestamp};
use http::{HeaderMap, StatusCode};
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// GitHub asks to wait at least this long after a secondary limit that names no time.
const SECONDARY_WAIT: Span = Span::minutes(1);
/// The longest wait that is believed. A primary limit is reset within the hour; more is a clock that is wrong.
const WAIT_MAX: Span = Span::minutes(65);

/// What kind of request it is: how the limits count it, and what a fault on the way means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Changes nothing that anybody would miss: after any fault it may be asked again.
    Read,
    /// After a fault it may have happened.
    Write,
    /// A write that notifies people; GitHub allows fewer of them.
    Comment,
}

/// Limits of one installation, or of the App itself.
#[derive(Debug)]
pub struct Limits {
    writes_per_minute: usize,
    comments_per_hour: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    closed_until: Option<Timestamp>,
    /// Secondary refusals since the last answer that was none.
    refusals: u32,
    writes: VecDeque<Timestamp>,
    comments: VecDeque<Timestamp>,
}

impl Limits {
    /// Begins with everything allowed.
    pub fn new(writes_per_minute: usize, comments_per_hour: usize) -> Self {
        Self {
            writes_per_minute: writes_per_minute.max(1),
            comments_per_hour: comments_per_hour.max(1),
            state: Mutex::default(),
        }
    }

    /// Says that a request is about to be sent; fails with how long to wait when it must not be.
    pub fn admit(&self, now: Timestamp, kind: Kind) -> Result<(), Span> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(until) = state.closed_until {
            if now < until {
                return Err(until.since(now));
            }
            state.closed_until = None;
        }
        let State { writes, comments, .. } = &mut *state;
        match kind {
            Kind::Read => return Ok(()),
            Kind::Write => {}
            Kind::Comment => room(comments, self.comments_per_hour, Span::hours(1), now)?,
        }
        room(writes, self.writes_per_minute, Span::minutes(1), now)?;
        writes.push_back(now);
        if kind == Kind::Comment {
            comments.push_back(now);
        }
        Ok(())
    }

    /// Learns from an answer; `message` is GitHub's, lower case or not. Returns how long to wait when the answer is a
    /// refusal for the rate.
    pub fn learn(&self, now: Timestamp, status: StatusCode, headers: &HeaderMap, message: &str) -> Option<Span> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let refused = matches!(status, StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS);
        let used_up = number(headers, "x-ratelimit-remaining") == Some(0);
        let reset = number(headers, "x-ratelimit-reset")
            .map(|seconds| Timestamp(i64::try_from(seconds.saturating_mul(1_000)).unwrap_or(i64::MAX)));
        if used_up {
            // The last request of the hour was answered; the next one would not be.
            if let Some(reset) = reset.filter(|reset| *reset > now) {
                close(&mut state, now, reset.since(now).max(Span::seconds(1)));
            }
        }
        if !refused {
            state.refusals = 0;
            return None;
        }
        let lower = message.to_ascii_lowercase();
        let secondary = lower.contains("secondary rate limit") || lower.contains("abuse detection");
        let asked = headers.get("retry-after").and_then(|value| value.to_str().ok());
        let wait = if let Some(asked) = asked {
            asked.trim().parse().map_or(SECONDARY_WAIT, Span::seconds).max(Span::seconds(1))
        } else if used_up && !secondary {
            reset.map_or(SECONDARY_WAIT, |reset| reset.since(now).max(Span::seconds(1)))
        } else if secondary || status == StatusCode::TOO_MANY_REQUESTS {
            state.refusals = state.refusals.saturating_add(1);
            Span(SECONDARY_WAIT.0 << (state.refusals - 1).min(4))
        } else {
            return None;
        };
        Some(close(&mut state, now, wait))
    }
}

/// Closes for `wait`, or for longer if it is closed for longer already.
fn close(state: &mut State, now: Timestamp, wait: Span) -> Span {
    let until = now.plus(wait.min(WAIT_MAX));
    let until = state.closed_until.map_or(until, |known| known.max(until));
    state.closed_until = Some(until);
    until.since(now)
}

/// Whether one more fits into the window.
fn room(sent: &mut VecDeque<Timestamp>, count_max: usize, window: Span, now: Timestamp) -> Result<(), Span> {
    while sent.front().is_some_and(|first| now.since(*first) >= window) {
        sent.pop_front();
    }
    match sent.front() {
        Some(first) if sent.len() >= count_max => Err(first.plus(window).since(now)),
        _ => Ok(()),
    }
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_used_up_limit_is_kept_until_its_reset() {
        let limits = Limits::new(80, 500);
        let used_up = headers(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1700000120")]);
        let wait = limits.learn(NOW, StatusCode::FORBIDDEN, &used_up, "API rate limit exceeded");
        assert_eq!(wait, Some(Span::minutes(2)));
        assert_eq!(limits.admit(NOW.plus(Span::seconds(60)), Kind::Read), Err(Span::minutes(1)));
        assert_eq!(limits.admit(NOW.plus(Span::minutes(2)), Kind::Read), Ok(()));
    }

    #[test]
    fn the_last_answer_of_the_hour_already_closes_the_door() {
        let limits = Limits::new(80, 500);
        let used_up = headers(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1700000120")]);
        assert_eq!(limits.learn(NOW, StatusCode::OK, &used_up, ""), None);
        assert_eq!(limits.admit(NOW, Kind::Read), Err(Span::minutes(2)));
    }

    #[test]
    fn a_secondary_limit_without_a_time_doubles_from_a_minute() {
        let limits = Limits::new(80, 500);
        let words = "You have exceeded a secondary rate limit. Please wait.";
        let learn = |now| limits.learn(now, StatusCode::FORBIDDEN, &HeaderMap::new(), words);
        assert_eq!(learn(NOW), Some(Span::minutes(1)));
        assert_eq!(learn(NOW.plus(Span::minutes(1))), Some(Span::minutes(2)));
        assert_eq!(limits.learn(NOW.plus(Span::minutes(3)), StatusCode::OK, &HeaderMap::new(), ""), None);
        assert_eq!(learn(NOW.plus(Span::minutes(3))), Some(Span::minutes(1)));
    }

    #[test]
    fn retry_after_is_obeyed_and_a_plain_refusal_is_no_limit() {
        let limits = Limits::new(80, 500);
        let forbidden = "Resource not accessible by integration";
        assert_eq!(limits.learn(NOW, StatusCode::FORBIDDEN, &HeaderMap::new(), forbidden), None);
        let wait = limits.learn(NOW, StatusCode::TOO_MANY_REQUESTS, &headers(&[("retry-after", "7")]), "");
        assert_eq!(wait, Some(Span::seconds(7)));
        let endless = limits.learn(NOW, StatusCode::FORBIDDEN, &headers(&[("retry-after", "99999999")]), "");
        assert_eq!(endless, Some(WAIT_MAX));
    }

    #[test]
    fn writes_are_paced_and_reads_are_not() {
        let limits = Limits::new(2, 3);
        assert_eq!(limits.admit(NOW, Kind::Write), Ok(()));
        assert_eq!(limits.admit(NOW.plus(Span::seconds(10)), Kind::Comment), Ok(()));
        assert_eq!(limits.admit(NOW.plus(Span::seconds(20)), Kind::Write), Err(Span::seconds(40)));
        assert_eq!(limits.admit(NOW.plus(Span::seconds(20)), Kind::Read), Ok(()));
        for minute in [2, 4] {
            assert_eq!(limits.admit(NOW.plus(Span::minutes(minute)), Kind::Comment), Ok(()));
        }
        assert_eq!(limits.admit(NOW.plus(Span::minutes(6)), Kind::Comment), Err(Span::seconds(54 * 60 + 10)));
        assert_eq!(limits.admit(NOW.plus(Span::minutes(6)), Kind::Write), Ok(()));
    }
}
