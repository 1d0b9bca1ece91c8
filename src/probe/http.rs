//! The HTTP question: one GET, and a value of its answer.
//!
//! Knows redirects and JSON pointers. Must never follow where the guard was not asked first.

use super::wire::{Answer, Fault, exchange, too_late};
use super::{Prober, hosts, parsed};
use crate::domain::ids::Span;
use crate::domain::reading::Reading;
use reqwest::Url;
use serde_json::Value;

/// Of an answer this many bytes are read.
const BODY_MAX: usize = 1 << 20;
/// A value has at most this many characters.
const VALUE_MAX: usize = 1_000;
/// A pointer goes at most this deep.
const POINTER_DEPTH_MAX: usize = 32;

impl Prober {
    /// Asks an address, and takes the value at `pointer` from its answer.
    pub(super) async fn http(&self, url: &str, pointer: Option<&str>) -> Reading {
        if let Some(because) = pointer.and_then(wrong_pointer) {
            return Reading::Unasked { because };
        }
        match self.visit(url).await {
            // Whoever only wants the status is not stopped by a long page.
            Ok((answer, _)) if answer.cut && pointer.is_some() => {
                Reading::Unanswered { because: format!("the answer is larger than {} KiB", BODY_MAX >> 10) }
            }
            Ok((answer, took)) => {
                Reading::Response { status: answer.status, took, value: pointer.and_then(|at| value(&answer.body, at)) }
            }
            Err(Fault::Refused(because)) => Reading::Unasked { because },
            Err(Fault::Silent(because)) => Reading::Unanswered { because },
        }
    }

    async fn visit(&self, url: &str) -> Result<(Answer, Span), Fault> {
        let url = parsed(url).map_err(Fault::Refused)?;
        self.guard.admit(&url).map_err(Fault::Refused)?;
        let place = self.place(&url).await?;
        let began = self.clock.now();
        let answer = tokio::time::timeout(self.limits.total, async {
            let (mut url, mut place, mut left) = (url, place, self.redirects);
            loop {
                let answer = exchange(self.guarded.get(url.clone()), BODY_MAX, &self.limits).await?;
                let Some(next) = next_hop(&url, &answer, self.redirects > 0)? else { return Ok(answer) };
                if left == 0 {
                    return Err(Fault::Silent(format!("it redirects more than {} times", self.redirects)));
                }
                left -= 1;
                self.guard.admit(&next).map_err(|why| Fault::Refused(format!("it redirects elsewhere: {why}")))?;
                if hosts::name(&url) != hosts::name(&next) {
                    // Let go first: two that redirect to each other would wait for each other.
                    drop(place);
                    place = self.place(&next).await?;
                }
                url = next;
            }
        });
        let answer = answer.await.unwrap_or_else(|_| Err(Fault::Silent(too_late(&self.limits))))?;
        Ok((answer, self.clock.now().since(began)))
    }
}

/// Where a redirect leads, if redirects are followed.
fn next_hop(from: &Url, answer: &Answer, follow: bool) -> Result<Option<Url>, Fault> {
    let moved = matches!(answer.status, 301 | 302 | 303 | 307 | 308);
    let Some(location) = answer.location.as_deref().filter(|_| follow && moved) else { return Ok(None) };
    let refused = |why: &str| Fault::Refused(format!("it redirects elsewhere: {why}"));
    let next = from.join(location).map_err(|_| refused("that is no URL"))?;
    if from.scheme() == "https" && next.scheme() != "https" {
        return Err(refused("from https to http"));
    }
    Ok(Some(next))
}

/// What is wrong with a pointer.
fn wrong_pointer(pointer: &str) -> Option<String> {
    if !pointer.is_empty() && !pointer.starts_with('/') {
        return Some("the JSON pointer does not begin with `/`".to_owned());
    }
    let deep = pointer.matches('/').count() > POINTER_DEPTH_MAX;
    deep.then(|| format!("the JSON pointer goes deeper than {POINTER_DEPTH_MAX}"))
}

/// The value at a pointer; `""` is the whole text. `None`: it is not there, or the answer is not JSON.
fn value(body: &[u8], pointer: &str) -> Option<String> {
    if pointer.is_empty() {
        let text = String::from_utf8_lossy(body);
        return Some(text.trim().chars().take(VALUE_MAX).collect());
    }
    let answer: Value = serde_json::from_slice(body).ok()?;
    let text = match answer.pointer(pointer)? {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    Some(text.chars().take(VALUE_MAX).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_names_a_value_as_rfc_6901_says() {
        let body =
            br#"{"a": {"b": ["x", 1.5, true, null, {"c": 1}]}, "m~n": 8, "a/b": 1, "": "empty", "n": 12345678901}"#;
        for (pointer, expected) in [
            ("/a/b/0", Some("x")),
            ("/a/b/1", Some("1.5")),
            ("/a/b/2", Some("true")),
            ("/a/b/3", Some("null")),
            ("/a/b/4", Some(r#"{"c":1}"#)),
            ("/a/b/5", None),
            ("/a/b/-", None),
            ("/a/b/00", None),
            ("/m~0n", Some("8")),
            ("/a~1b", Some("1")),
            ("/", Some("empty")),
            ("/n", Some("12345678901")),
            ("/missing/deeper", None),
        ] {
            assert_eq!(value(body, pointer).as_deref(), expected, "{pointer}");
        }
    }

    #[test]
    fn what_is_no_json_has_no_value_and_what_is_too_deep_is_not_unpacked() {
        assert_eq!(value(b"<html>", "/a"), None);
        assert_eq!(value("[".repeat(1_000_000).as_bytes(), "/0/0"), None);
        assert_eq!(value(b" ok \n", "").as_deref(), Some("ok"));
        assert_eq!(value(&[b'x'; 5_000], "").unwrap().len(), VALUE_MAX);
        assert_eq!(value(b"\xff", "").as_deref(), Some("\u{fffd}"));
    }

    #[test]
    fn a_pointer_that_is_none_is_not_asked_with() {
        assert_eq!(wrong_pointer(""), None);
        assert_eq!(wrong_pointer("/a/b"), None);
        assert_eq!(wrong_pointer("a").unwrap(), "the JSON pointer does not begin with `/`");
        assert_eq!(wrong_pointer(&"/0".repeat(33)).unwrap(), "the JSON pointer goes deeper than 32");
    }

    #[test]
    fn a_redirect_never_leaves_https() {
        let answer = |to: &str| Answer { status: 302, location: Some(to.to_owned()), body: Vec::new(), cut: false };
        let from = Url::parse("https://shop.example/a/b").unwrap();
        let next = |to: &str| match next_hop(&from, &answer(to), true) {
            Ok(next) => next.map(|url| url.to_string()).unwrap_or_default(),
            Err(Fault::Refused(why) | Fault::Silent(why)) => why,
        };
        assert_eq!(next("c"), "https://shop.example/a/c");
        assert_eq!(next("//other.example/"), "https://other.example/");
        assert_eq!(next("http://shop.example/"), "it redirects elsewhere: from https to http");
        assert_eq!(next("ftp://shop.example/"), "it redirects elsewhere: from https to http");
        assert!(next_hop(&from, &answer("c"), false).is_ok_and(|next| next.is_none()));
    }
}
