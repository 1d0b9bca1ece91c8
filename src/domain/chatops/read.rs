//! A command line into a verb, or into what is wrong with it.
//!
//! Knows the words of a line. Must never know the Markdown around it.

use super::Verb;
use super::scan::CommandLine;
use super::table::{Flag, LATER, Part, Row, VERBS, Words, row};
use crate::domain::ids::*;
use crate::domain::markdown::{clip, code, is_invisible};
use crate::domain::nearest::did_you_mean;
use crate::domain::policy::GateName;
use crate::domain::problem::Problem;

/// Characters of a name of an environment or service.
const NAME_CHARS_MAX: usize = 64;
/// Bytes of a branch or tag.
const REF_BYTES_MAX: usize = 255;
/// Characters of a reason.
const REASON_CHARS_MAX: usize = 500;
/// Characters of a reason that must be given.
const DEMANDED_REASON_CHARS_MIN: usize = 5;
/// What `--for` may say.
const LASTS_MIN: Span = Span::minutes(1);
const LASTS_MAX: Span = Span::hours(30 * 24);
/// Characters of somebody's word that are repeated to them.
const ECHO_CHARS: usize = 60;

/// Reads one command. Problems are whole sentences in Markdown.
pub(super) fn command(line: &CommandLine<'_>) -> Result<Verb, Problem> {
    match line {
        CommandLine::Plain(words) => plain(words).map_err(Problem::error),
        CommandLine::Formatted => Err(Problem::error(
            "This command holds code, a link or HTML, so it was not run. Please write it again as plain text.",
        )),
    }
}

fn plain(line: &str) -> Result<Verb, String> {
    let mut words = split(line)?.into_iter();
    let Some(name) = words.next() else { return Ok(Verb::Help) };
    let row = named(&name)?;
    if row.parts == [Part::Command] { planned(row, words) } else { rest(row, words) }
}

fn named(name: &Word) -> Result<&'static Row, String> {
    row(&name.text).filter(|_| !name.quoted).ok_or_else(|| unknown(&name.text))
}

/// Reads what stands behind `plan`: any other command that does something.
fn planned(row: &Row, mut words: impl Iterator<Item = Word>) -> Result<Verb, String> {
    let Some(name) = words.next() else { return Err(format!("`{}` lacks the command.{}", row.name, usage(row))) };
    let inner = named(&name)?;
    if inner.parts == [Part::Command] {
        return Err("A plan cannot be planned: write one `plan`, and the command behind it.".to_owned());
    }
    if !inner.acts {
        return Err(format!("`{}` changes nothing, so there is nothing to plan.{}", inner.name, usage(inner)));
    }
    let command = Some(rest(inner, words)?);
    built(row, Words { command, ..Words::default() })
}

/// Reads what stands behind the verb.
fn rest(row: &Row, mut words: impl Iterator<Item = Word>) -> Result<Verb, String> {
    let mut given = Words::default();
    let mut places = Vec::new();
    while let Some(word) = words.next() {
        match word.flag() {
            Some((name, value)) => {
                let flag = flag(row, name)?;
                let value = match value {
                    Some(value) => value.to_owned(),
                    None => words.next().filter(|w| w.flag().is_none()).map(|w| w.text).unwrap_or_default(),
                };
                take_flag(row, flag, value, &mut given)?;
            }
            None => places.push(word.text),
        }
    }
    let rest = take_parts(row, row.parts, &places, &mut given)?;
    if let Some(extra) = rest.first() {
        return Err(format!("`{}` has a word too many: {}.{}", row.name, echo(extra), usage(row)));
    }
    if row.flags.contains(&Flag::DemandedReason) && given.reason.is_none() {
        return Err(format!("`{}` lacks its reason, which is kept for ever.{}", row.name, usage(row)));
    }
    built(row, given)
}

fn built(row: &Row, given: Words) -> Result<Verb, String> {
    (row.verb)(given).ok_or_else(|| format!("`{}` lacks a word.{}", row.name, usage(row)))
}

fn unknown(name: &str) -> String {
    if LATER.iter().any(|later| later.eq_ignore_ascii_case(name)) {
        return format!("This version of Plimsoll has no {} yet. `/plimsoll help` lists what it has.", echo(name));
    }
    match did_you_mean(name, VERBS.iter().map(|row| row.name)) {
        hint if hint.is_empty() => format!("{} is not a command. `/plimsoll help` lists them all.", echo(name)),
        hint => format!("{} is not a command.{hint}", echo(name)),
    }
}

fn usage(row: &Row) -> String {
    format!(" Usage: `{}`.", row.usage())
}

fn echo(word: &str) -> String {
    code(&clip(word, ECHO_CHARS))
}

/// A word of a command line.
struct Word {
    text: String,
    /// It stood in quotation marks, so it is never a verb or a flag.
    quoted: bool,
}

impl Word {
    /// The flag's name and what stands behind its `=`; `None` when this is no flag.
    fn flag(&self) -> Option<(&str, Option<&str>)> {
        // Phones turn `--` into a dash.
        let name = ["--", "—", "–"].iter().find_map(|dash| self.text.strip_prefix(dash)).filter(|_| !self.quoted)?;
        Some(name.split_once('=').map_or((name, None), |(name, value)| (name, Some(value))))
    }
}

/// Splits at blanks, but not inside quotation marks, straight or typographic, that open a word or follow a `=`.
fn split(line: &str) -> Result<Vec<Word>, String> {
    let mut words = Vec::new();
    let mut text = String::new();
    let mut quoted = false;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' | '“' | '„' | '”' if text.is_empty() || text.ends_with('=') => {
                quoted = text.is_empty();
                loop {
                    match chars.next() {
                        Some('"' | '”' | '“') => break,
                        Some(c) => text.push(c),
                        None => return Err("A quotation mark is opened and never closed.".to_owned()),
                    }
                }
                if quoted || text.contains('=') {
                    words.push(Word { text: std::mem::take(&mut text), quoted });
                    quoted = false;
                }
            }
            c if c.is_whitespace() => {
                if !text.is_empty() {
                    words.push(Word { text: std::mem::take(&mut text), quoted });
                }
            }
            c => text.push(c),
        }
    }
    if !text.is_empty() {
        words.push(Word { text, quoted });
    }
    Ok(words)
}

fn flag(row: &Row, name: &str) -> Result<Flag, String> {
    let is_it = |flag: &Flag| flag.name().eq_ignore_ascii_case(name);
    if let Some(flag) = row.flags.iter().copied().find(is_it) {
        return Ok(flag);
    }
    // Another command has it: then it is no slip of the finger.
    let hint = match Flag::ALL.iter().any(is_it) {
        true => String::new(),
        false => did_you_mean(name, row.flags.iter().map(|flag| flag.name())),
    };
    let hint = hint.replace("Did you mean `", "Did you mean `--");
    Err(format!("`{}` takes no {}.{hint}{}", row.name, echo(&format!("--{name}")), usage(row)))
}

fn take_flag(row: &Row, flag: Flag, value: String, given: &mut Words) -> Result<(), String> {
    if value.trim().is_empty() {
        return Err(format!("`--{}` lacks its value.{}", flag.name(), usage(row)));
    }
    let twice = match flag {
        Flag::For => given.lasts.replace(span(&value)?).is_some(),
        Flag::Reason => given.reason.replace(reason(&value)?).is_some(),
        Flag::DemandedReason => {
            let chars = value.trim().chars().count();
            if chars < DEMANDED_REASON_CHARS_MIN {
                return Err(format!("A reason for this has at least {DEMANDED_REASON_CHARS_MIN} characters."));
            }
            given.reason.replace(reason(&value)?).is_some()
        }
        Flag::Service => given.service.replace(ServiceName::new(plain_name(value, "a service")?)).is_some(),
    };
    if twice { Err(format!("`--{}` is given twice.", flag.name())) } else { Ok(()) }
}

fn reason(value: &str) -> Result<String, String> {
    if value.chars().count() > REASON_CHARS_MAX {
        return Err(format!("A reason may have up to {REASON_CHARS_MAX} characters."));
    }
    Ok(value.trim().to_owned())
}

fn span(word: &str) -> Result<Span, String> {
    let units = [("m", Span::minutes(1)), ("h", Span::hours(1)), ("d", Span::hours(24))];
    let lower = word.trim().to_ascii_lowercase();
    let read = units.iter().find_map(|(unit, span)| {
        let digits = lower.strip_suffix(unit).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?;
        Some(Span(digits.parse::<u64>().ok()?.saturating_mul(span.0)))
    });
    read.filter(|span| (LASTS_MIN..=LASTS_MAX).contains(span)).ok_or_else(|| {
        format!("{} cannot stand behind `--for`: write `30m`, `2h` or `3d`, from 1 minute to 30 days.", echo(word))
    })
}

fn gate(word: &str) -> Result<GateName, String> {
    let all = GateName::OVERRIDABLE;
    all.into_iter().find(|gate| gate.word().eq_ignore_ascii_case(word)).ok_or_else(|| {
        let hint = did_you_mean(word, all.iter().map(|gate| gate.word()));
        let names: Vec<String> = all.iter().map(|gate| code(gate.word())).collect();
        format!("{} is nothing that can be overridden.{hint} There is {}.", echo(word), names.join(", "))
    })
}

/// Puts the words in their places, and gives back those that are left.
fn take_parts<'w>(
    row: &Row,
    parts: &[Part],
    mut words: &'w [String],
    given: &mut Words,
) -> Result<&'w [String], String> {
    for part in parts {
        if let Part::Maybe(parts) = part {
            if !words.is_empty() {
                words = take_parts(row, parts, words, given)?;
            }
            continue;
        }
        let Some((word, rest)) = words.split_first() else {
            return Err(format!("`{}` lacks {}.{}", row.name, wanted(*part), usage(row)));
        };
        match part {
            Part::Ref => given.what = Some(ref_name(word)?),
            Part::Environment => {
                given.environment = Some(EnvironmentName::new(plain_name(word.clone(), "an environment")?))
            }
            Part::Sha => given.sha = Some(hash(word)?),
            Part::Gate => given.gate = Some(gate(word)?),
            Part::Word(expected) if word.eq_ignore_ascii_case(expected) => {}
            Part::Word(expected) => {
                return Err(format!("`{}` wants `{expected}` where {} stands.{}", row.name, echo(word), usage(row)));
            }
            // Taken apart before.
            Part::Command | Part::Maybe(_) => {}
        }
        words = rest;
    }
    Ok(words)
}

fn wanted(part: Part) -> String {
    match part {
        Part::Ref => "the branch, tag or commit".to_owned(),
        Part::Environment => "the environment".to_owned(),
        Part::Sha | Part::Maybe(_) => "the commit".to_owned(),
        Part::Gate => "the gate".to_owned(),
        Part::Command => "the command".to_owned(),
        Part::Word(word) => format!("the word `{word}`"),
    }
}

fn plain_name(word: String, of: &str) -> Result<String, String> {
    let bad = |c: char| c.is_control() || c.is_whitespace() || c == '`' || is_invisible(c);
    if word.chars().count() > NAME_CHARS_MAX {
        return Err(format!("{} is too long to be {of}: at most {NAME_CHARS_MAX} characters.", echo(&word)));
    }
    if word.is_empty() || word.contains(bad) {
        return Err(format!("{} cannot be the name of {of}.", echo(&word)));
    }
    Ok(word)
}

fn hash(word: &str) -> Result<String, String> {
    let good = (7..=64).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_hexdigit());
    good.then(|| word.to_ascii_lowercase())
        .ok_or_else(|| format!("{} is not a commit: write 7 to 64 hexadecimal digits of its hash.", echo(word)))
}

/// Follows `git check-ref-format`, and more strictly: no backtick, nothing invisible, no leading `-`.
fn ref_name(word: &str) -> Result<String, String> {
    let bad_char = |c: char| c.is_control() || c.is_whitespace() || is_invisible(c) || "~^:?*[\\`".contains(c);
    let bad_piece = |piece: &str| piece.is_empty() || piece.starts_with('.') || piece.ends_with(".lock");
    let bad = word.len() > REF_BYTES_MAX
        || word.contains(bad_char)
        || word.starts_with('-')
        || word.ends_with('.')
        || word == "@"
        || word.contains("..")
        || word.contains("@{")
        || word.split('/').any(bad_piece);
    if bad { Err(format!("{} cannot be a branch, tag or commit.", echo(word))) } else { Ok(word.to_owned()) }
}
