//! Trouble on demand: what the sandbox does wrong, and when.
//!
//! Knows methods, paths and counts. Knows nothing of the model: a fault never changes what is true,
//! only what the caller hears of it.

/// What goes wrong.
#[derive(Debug, Clone, PartialEq)]
pub enum Trouble {
    /// Answers at once with this; nothing is performed.
    Answer { status: u16, headers: Vec<(String, String)>, body: String },
    /// Closes the connection without performing anything.
    DropBefore,
    /// Performs the request, then closes the connection without an answer.
    DropAfter,
    /// Performs the request, then answers with this instead.
    AnswerAfter { status: u16, headers: Vec<(String, String)>, body: String },
    /// Answers rightly, but this much later on the real clock.
    Delay { ms: u64 },
}

impl Trouble {
    /// GitHub's answer of this status with a message.
    pub fn status(status: u16, message: &str) -> Self {
        let body = serde_json::json!({ "message": message, "documentation_url": "https://docs.github.com/rest", "status": status.to_string() });
        Trouble::Answer { status, headers: Vec::new(), body: body.to_string() }
    }

    /// The secondary rate limit: 403 with `retry-after`.
    pub fn secondary_limit(retry_after_s: u64) -> Self {
        let body = serde_json::json!({
            "message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
            "documentation_url": "https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api",
            "status": "403",
        });
        Trouble::Answer {
            status: 403,
            headers: vec![("retry-after".to_owned(), retry_after_s.to_string())],
            body: body.to_string(),
        }
    }
}

/// A rule: which requests meet which trouble.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// Any method when empty.
    pub method: String,
    /// Path with `*` for any text, as `/repos/*/check-runs*`.
    pub path: String,
    /// Requests that match and still go well before the trouble begins.
    pub skip: usize,
    /// Requests that meet the trouble, then the rule is used up.
    pub times: usize,
    pub trouble: Trouble,
}

impl Fault {
    /// Trouble for the next matching request.
    pub fn once(method: &str, path: &str, trouble: Trouble) -> Self {
        Self { method: method.to_owned(), path: path.to_owned(), skip: 0, times: 1, trouble }
    }

    /// Trouble for every matching request until the faults are cleared.
    pub fn always(method: &str, path: &str, trouble: Trouble) -> Self {
        Self { method: method.to_owned(), path: path.to_owned(), skip: 0, times: usize::MAX, trouble }
    }

    /// Lets this many matching requests pass first.
    pub fn after(mut self, skip: usize) -> Self {
        self.skip = skip;
        self
    }

    fn matches(&self, method: &str, path: &str) -> bool {
        (self.method.is_empty() || self.method.eq_ignore_ascii_case(method)) && fits(&self.path, path)
    }
}

/// The rules in force.
#[derive(Debug, Default)]
pub struct Faults {
    rules: Vec<Fault>,
}

impl Faults {
    pub fn add(&mut self, fault: Fault) {
        self.rules.push(fault);
    }

    pub fn clear(&mut self) {
        self.rules.clear();
    }

    /// The trouble that this request meets, counting it.
    pub fn meet(&mut self, method: &str, path: &str) -> Option<Trouble> {
        let mut met = None;
        for rule in &mut self.rules {
            if !rule.matches(method, path) {
                continue;
            }
            if rule.skip > 0 {
                rule.skip -= 1;
                continue;
            }
            rule.times = rule.times.saturating_sub(1);
            met = Some(rule.trouble.clone());
            break;
        }
        self.rules.retain(|rule| rule.times > 0);
        met
    }
}

/// Says whether a text fits a pattern in which `*` stands for any text.
fn fits(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        assert!(fits("/repos/*/check-runs*", "/repos/acme/shop/check-runs/7"));
        assert!(fits("/repos/*/check-runs*", "/repos/acme/shop/check-runs"));
        assert!(!fits("/repos/*/check-runs", "/repos/acme/shop/check-runs/7"));
        assert!(fits("/app", "/app"));
        assert!(!fits("/app", "/app/installations"));
    }

    #[test]
    fn a_rule_lets_pass_then_troubles_then_is_used_up() {
        let mut faults = Faults::default();
        faults.add(Fault::once("post", "/x", Trouble::DropAfter).after(1));
        assert_eq!(faults.meet("POST", "/x"), None);
        assert_eq!(faults.meet("GET", "/x"), None);
        assert_eq!(faults.meet("POST", "/x"), Some(Trouble::DropAfter));
        assert_eq!(faults.meet("POST", "/x"), None);
    }
}
