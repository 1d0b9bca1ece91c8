//! Takes values out of the tree and collects what is wrong with them.
//!
//! Knows types, names and ranges. Must never know the keys of a policy.

use super::yaml::{At, Key, Node, Value};
use crate::domain::ids::Span;
use crate::domain::markdown::{clip, code, is_invisible};
use crate::domain::nearest::did_you_mean;
use crate::domain::problem::Problem;

/// Problems that are told; a file with more is mended step by step. GitHub takes 50 annotations at once.
const PROBLEMS_MAX: usize = 50;
/// Characters of somebody's word that are repeated to them.
const ECHO_CHARS: usize = 60;
/// Units of lengths of time in milliseconds; `ms` before `m`, which it begins with.
const SPAN_UNITS: [(&str, u64); 5] = [("ms", 1), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)];
/// Characters of a name.
pub(super) const NAME_CHARS_MAX: usize = 64;

/// The keys that a mapping may have.
pub(super) struct Keys {
    /// What the mapping is, for instance ``a service``.
    pub of: &'static str,
    pub known: &'static [&'static str],
    /// Keys of the product that this version does not carry out.
    pub later: &'static [&'static str],
}

/// Collects problems while a policy is read.
pub(super) struct Reader<'a> {
    path: &'a str,
    problems: Vec<Problem>,
    untold: usize,
}

/// A mapping whose keys were checked.
#[derive(Clone, Copy)]
pub(super) struct Fields<'n> {
    pub at: At,
    entries: &'n [(Key, Node)],
}

impl<'n> Fields<'n> {
    /// The value of a key; a key with nothing behind it is as good as not there.
    pub(super) fn get(&self, name: &str) -> Option<&'n Node> {
        self.entries.iter().find(|(key, _)| key.name == name).map(|(_, node)| node).filter(|n| n.value != Value::Null)
    }
}

impl<'a> Reader<'a> {
    pub(super) fn new(path: &'a str) -> Self {
        Self { path, problems: Vec::new(), untold: 0 }
    }

    /// Notes an error; `message` is whole sentences in Markdown.
    pub(super) fn wrong(&mut self, at: At, message: impl Into<String>) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(Problem::error(message).at(self.path, at.line, at.column));
        } else {
            self.untold += 1;
        }
    }

    /// Whether what is still found wrong is only counted: no need to think about its words.
    pub(super) fn is_full(&self) -> bool {
        self.problems.len() >= PROBLEMS_MAX
    }

    pub(super) fn good(&self) -> bool {
        self.problems.is_empty()
    }

    /// All problems in the order of the file.
    pub(super) fn finish(mut self) -> Vec<Problem> {
        self.problems.sort_by_key(|problem| problem.place.as_ref().map(|place| (place.line, place.column)));
        if self.untold > 0 {
            self.problems.push(Problem::error(format!("There are {} more problems.", self.untold)));
        }
        self.problems
    }

    /// The entries of a mapping; `of` says what it is, for instance ``a service``.
    pub(super) fn map<'n>(&mut self, node: &'n Node, of: &str) -> Option<&'n [(Key, Node)]> {
        if let Value::Map(entries) = &node.value {
            return Some(entries);
        }
        let what = capital(of);
        self.wrong(
            node.at,
            format!("{what} must be a mapping (`key: value` on lines of their own), not {}.", shown(node)),
        );
        None
    }

    /// The fields of a mapping with known keys; every other key is a problem.
    pub(super) fn fields<'n>(&mut self, node: &'n Node, keys: &Keys) -> Option<Fields<'n>> {
        let entries = self.map(node, keys.of)?;
        for (key, _) in entries {
            let word = key.name.as_str();
            if keys.later.contains(&word) {
                self.not_yet(key.at, word);
            } else if !keys.known.contains(&word) {
                let hint = did_you_mean(word, keys.known.iter().chain(keys.later).copied());
                let others = match hint.is_empty() {
                    true => format!(" {} may have {}.", capital(keys.of), listed(keys.known)),
                    false => hint,
                };
                self.wrong(key.at, format!("Unknown key {}.{others}", echo(word)));
            }
        }
        Some(Fields { at: node.at, entries })
    }

    /// Says that a key is the product's but not this version's.
    pub(super) fn not_yet(&mut self, at: At, key: &str) {
        self.wrong(
            at,
            format!(
                "This version of Plimsoll does not carry out `{key}`, so it does not deploy under a policy that asks for \
                 it. Take it out, or run a version that has it."
            ),
        );
    }

    /// The items of a list, between `least` and `most` of them.
    pub(super) fn list<'n>(&mut self, node: &'n Node, name: &str, least: usize, most: usize) -> Option<&'n [Node]> {
        let Value::List(items) = &node.value else {
            return self.mistyped(node, name, "a list (`[one, two]`, or lines that start with `- `)");
        };
        if items.len() < least {
            self.wrong(node.at, format!("`{name}` must have at least {least} {}.", plural(least, "item", "items")));
        }
        if items.len() > most {
            self.wrong(node.at, format!("`{name}` may have at most {most} items, not {}.", items.len()));
            return None;
        }
        Some(items)
    }

    /// A text of 1 to `most` characters on one line.
    pub(super) fn text<'n>(&mut self, node: &'n Node, name: &str, most: usize) -> Option<&'n str> {
        let Value::Text(text) = &node.value else { return self.mistyped(node, name, "text") };
        let length = text.chars().count();
        if text.trim().is_empty() || text.chars().any(|c| c.is_control() || is_invisible(c)) {
            self.wrong(node.at, format!("`{name}` must be one line of visible characters."));
            return None;
        }
        if length > most {
            self.wrong(node.at, format!("`{name}` may have at most {most} characters, not {length}."));
            return None;
        }
        Some(text)
    }

    /// A text of 1 to `most` characters that may have several lines.
    pub(super) fn lines<'n>(&mut self, node: &'n Node, name: &str, most: usize) -> Option<&'n str> {
        let Value::Text(text) = &node.value else { return self.mistyped(node, name, "text") };
        let text = text.trim();
        let length = text.chars().count();
        let hidden = |c: char| c != '\n' && c != '\t' && (c.is_control() || is_invisible(c));
        if text.is_empty() || text.chars().any(hidden) {
            self.wrong(node.at, format!("`{name}` must be visible characters."));
            return None;
        }
        if length > most {
            self.wrong(node.at, format!("`{name}` may have at most {most} characters, not {length}."));
            return None;
        }
        Some(text)
    }

    /// A name that is safe everywhere: letters, digits, `.`, `_` and `-`, not starting with `.` or `-`.
    pub(super) fn name(&mut self, at: At, word: &str, of: &str) -> Option<String> {
        let good = word.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
            && (1..=NAME_CHARS_MAX).contains(&word.len())
            && !word.starts_with(['.', '-']);
        if !good {
            self.wrong(
                at,
                format!(
                    "{} cannot be the name of {of}: write 1 to {NAME_CHARS_MAX} letters, digits, `.`, `_` or `-`, \
                     beginning with a letter, digit or `_`.",
                    echo(word)
                ),
            );
        }
        good.then(|| word.to_owned())
    }

    /// A whole number in a range.
    pub(super) fn whole(&mut self, node: &Node, name: &str, least: u64, most: u64) -> Option<u64> {
        let found = match node.value {
            Value::Whole(n) => n,
            _ => return self.mistyped(node, name, "a whole number"),
        };
        let good = u64::try_from(found).ok().filter(|n| (least..=most).contains(n));
        if good.is_none() {
            self.wrong(node.at, format!("`{name}` must be between {least} and {most}, not {found}."));
        }
        good
    }

    /// `true` or `false`.
    pub(super) fn flag(&mut self, node: &Node, name: &str) -> Option<bool> {
        match node.value {
            Value::Bool(flag) => Some(flag),
            _ => self.mistyped(node, name, "`true` or `false`, without quotes"),
        }
    }

    /// Any number.
    pub(super) fn number(&mut self, node: &Node, name: &str) -> Option<f64> {
        match node.value {
            Value::Fraction(x) if x.is_finite() => Some(x),
            Value::Whole(n) => Some(n as f64),
            _ => self.mistyped(node, name, "a number"),
        }
    }

    /// A part of something, written as a percentage such as `10%` or `2.5%`, up to ten times of it.
    pub(super) fn share(&mut self, node: &Node, name: &str) -> Option<f64> {
        let text = match &node.value {
            Value::Text(text) => text.strip_suffix('%').map(str::trim_end),
            _ => None,
        };
        let digits = text.filter(|text| text.bytes().all(|b| b.is_ascii_digit() || b == b'.'));
        let found = digits.and_then(|text| text.parse::<f64>().ok());
        let Some(found) = found else { return self.mistyped(node, name, "a percentage such as `10%`") };
        if found > 1_000.0 {
            self.wrong(node.at, format!("`{name}` must be between `0%` and `1000%`, not {}.", shown(node)));
            return None;
        }
        Some(found / 100.0)
    }

    /// A number between 0 and 1, both left out.
    pub(super) fn probability(&mut self, node: &Node, name: &str) -> Option<f64> {
        let found = match node.value {
            Value::Fraction(x) => x,
            Value::Whole(n) => n as f64,
            _ => return self.mistyped(node, name, "a number between 0 and 1, for instance 0.3"),
        };
        let good = found > 0.0 && found < 1.0;
        if !good {
            self.wrong(node.at, format!("`{name}` must be a probability between 0 and 1, not {found}."));
        }
        good.then_some(found)
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&mut self, node: &Node, name: &str, choices: &[(&str, T)]) -> Option<T> {
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        let Value::Text(text) = &node.value else { return self.mistyped(node, name, &either(&words)) };
        let found = choices.iter().find(|(word, _)| word == text).map(|(_, choice)| *choice);
        if found.is_none() {
            let hint = did_you_mean(text, words.iter().copied());
            self.wrong(node.at, format!("`{name}` must be {}, not {}.{hint}", either(&words), echo(text)));
        }
        found
    }

    /// A length of time, for instance `1h30m`, up to `most`.
    pub(super) fn span(&mut self, node: &Node, name: &str, least: Span, most: Span) -> Option<Span> {
        let found = match &node.value {
            Value::Text(text) => span(text),
            Value::Whole(0) => Some(Span(0)),
            _ => None,
        };
        let Some(found) = found else {
            return self.mistyped(node, name, "a length of time such as `30s`, `10m`, `1h30m` or `2d`");
        };
        if found < least || found > most {
            let [least, most, found] = [least, most, found].map(exactly);
            self.wrong(node.at, format!("`{name}` must be between {least} and {most}, not {found}."));
            return None;
        }
        Some(found)
    }

    /// A share of a rollout, `25%` or `25`.
    pub(super) fn percent(&mut self, node: &Node, name: &str) -> Option<u8> {
        let found = match &node.value {
            Value::Text(text) => text.strip_suffix('%').unwrap_or(text).trim_end().parse().ok(),
            Value::Whole(n) => u8::try_from(*n).ok(),
            _ => None,
        };
        let good = found.filter(|p| (1..=100).contains(p));
        if good.is_none() {
            self.wrong(
                node.at,
                format!("`{name}` must hold whole percentages from `1%` to `100%`, not {}.", shown(node)),
            );
        }
        good
    }

    pub(super) fn mistyped<T>(&mut self, node: &Node, name: &str, wanted: &str) -> Option<T> {
        self.wrong(node.at, format!("`{name}` must be {wanted}, not {}.", shown(node)));
        None
    }
}

/// A length of time as it is told to people, those below a second too.
fn exactly(span: Span) -> String {
    if (1..1_000).contains(&span.0) { format!("{} ms", span.0) } else { span.to_string() }
}

/// Reads `30m`, `1h30m`, `10s`, `2d`, `500ms`; units fall, each at most once. `None` when it is no length of time.
pub(super) fn span(text: &str) -> Option<Span> {
    let mut rest = text;
    let mut total: u64 = 0;
    let mut last_unit = u64::MAX;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, behind) = rest.split_at(digits);
        let (unit, unit_ms) = SPAN_UNITS.into_iter().find(|(unit, _)| behind.starts_with(unit))?;
        if unit_ms >= last_unit {
            return None;
        }
        last_unit = unit_ms;
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(unit_ms)?)?;
        rest = &behind[unit.len()..];
    }
    (last_unit != u64::MAX).then_some(Span(total))
}

/// Somebody's word, safe and short.
pub(super) fn echo(word: &str) -> String {
    code(&clip(word, ECHO_CHARS))
}

fn shown(node: &Node) -> String {
    match &node.value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(b) => format!("`{b}`"),
        Value::Whole(n) => format!("the number {n}"),
        Value::Fraction(x) => format!("the number {x}"),
        Value::Text(text) => echo(text),
        Value::List(_) => "a list".to_owned(),
        Value::Map(_) => "a mapping".to_owned(),
    }
}

fn plural(n: usize, one: &'static str, many: &'static str) -> &'static str {
    if n == 1 { one } else { many }
}

fn capital(words: &str) -> String {
    let mut chars = words.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

fn listed(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

fn either(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" or ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_is_read_in_falling_units() {
        assert_eq!(span("1h30m"), Some(Span::minutes(90)));
        assert_eq!(span("2d"), Some(Span::hours(48)));
        assert_eq!(span("0s"), Some(Span(0)));
        assert_eq!(span("1m2s500ms"), Some(Span(62_500)));
        for bad in
            ["", "5", "m", "30m1h", "1h1h", "-5m", "1.5h", "5 m", "5ms1s", "ms", "99999999999999999999d", "5µ", "é"]
        {
            assert_eq!(span(bad), None, "{bad}");
        }
    }
}
