//! A command line into a verb, or into what is wrong with it.
//!
//! Knows the words of a line. Must never know the Markdown around it.

use super::Verb;
use super::scan::CommandLine;
use super::table::{Flag, LATER, Part, Row, VERBS, Words, row};
use crate::domain::ids::*;
use crate::domain::markdown::{clip, code, is_invisible};
use crate::domain::nearest::did_you_mean;
use crate::domain::problem::Problem;

/// Characters of a name of an environment or service.
const NAME_CHARS_MAX: usize = 64;
/// Bytes of a branch or tag.
const REF_BYTES_MAX: usize = 255;
/// Characters of a reason.
const REASON_CHARS_MAX: usize = 500;
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
    let Some(row) = row(&name.text).filter(|_| !name.quoted) else { return Err(unknown(&name.text)) };
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
    let found = Flag::ALL.into_iter().find(|flag| flag.name().eq_ignore_ascii_case(name));
    match found.filter(|flag| row.flags.contains(flag)) {
        Some(flag) => Ok(flag),
        None => {
            let hint = did_you_mean(name, row.flags.iter().map(|flag| flag.name()));
            let hint = if found.is_some() { String::new() } else { hint.replace("Did you mean `", "Did you mean `--") };
            Err(format!("`{}` takes no {}.{hint}{}", row.name, echo(&format!("--{name}")), usage(row)))
        }
    }
}

fn take_flag(row: &Row, flag: Flag, value: String, given: &mut Words) -> Result<(), String> {
    let twice = || format!("`--{}` is given twice.", flag.name());
    if value.trim().is_empty() {
        return Err(format!("`--{}` lacks its value.{}", flag.name(), usage(row)));
    }
    match flag {
        Flag::Service if given.service.is_some() => Err(twice()),
        Flag::Reason if given.reason.is_some() => Err(twice()),
        Flag::Service => {
            given.service = Some(ServiceName::new(plain_name(value, "a service")?));
            Ok(())
        }
        Flag::Reason if value.chars().count() > REASON_CHARS_MAX => {
            Err(format!("A reason may have up to {REASON_CHARS_MAX} characters."))
        }
        Flag::Reason => {
            given.reason = Some(value.trim().to_owned());
            Ok(())
        }
    }
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
            Part::Word(expected) if word.eq_ignore_ascii_case(expected) => {}
            Part::Word(expected) => {
                return Err(format!("`{}` wants `{expected}` where {} stands.{}", row.name, echo(word), usage(row)));
            }
            Part::Maybe(_) => {}
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

#[cfg(test)]
mod tests {
    use super::super::{Parsed, commands};
    use super::*;
    use proptest::prelude::*;

    /// What one comment's only command is, or the problem's words.
    fn check(line: &str) -> Result<Verb, String> {
        let mut parsed = commands(line);
        assert_eq!(parsed.commands.len(), 1, "{line}");
        parsed.commands.remove(0).map_err(|problem| problem.message)
    }

    fn refused(line: &str) -> String {
        check(line).expect_err(line)
    }

    #[test]
    fn each_command_is_read() {
        let production = || EnvironmentName::new("production");
        let api = || Some(ServiceName::new("api"));
        assert_eq!(check("/plimsoll"), Ok(Verb::Help));
        assert_eq!(check("/plimsoll HELP"), Ok(Verb::Help));
        assert_eq!(check("@plimsoll status"), Ok(Verb::Status));
        assert_eq!(check("/plimsoll recheck"), Ok(Verb::Recheck));
        assert_eq!(
            check("/plimsoll deploy release/1.2 to production --service api --reason \"customers wait\""),
            Ok(Verb::Deploy {
                what: "release/1.2".into(),
                environment: production(),
                service: api(),
                reason: Some("customers wait".into())
            })
        );
        assert_eq!(
            check("/plimsoll approve production ABCDEF1 --service=api"),
            Ok(Verb::Approve { environment: production(), sha: Some("abcdef1".into()), service: api() })
        );
        assert_eq!(
            check("/plimsoll rollback production to abcdef1 --reason=\"too slow\""),
            Ok(Verb::Rollback {
                environment: production(),
                to: Some("abcdef1".into()),
                service: None,
                reason: Some("too slow".into())
            })
        );
        assert_eq!(
            check("/plimsoll resume --service api production"),
            Ok(Verb::Resume { environment: Some(production()), service: api() })
        );
    }

    #[test]
    fn a_phones_quotation_marks_and_dashes_are_understood() {
        let wanted = Some("don't wait".to_owned());
        for reason in ["—reason “don't wait”", "–reason „don't wait“", "--reason ”don't wait”", "--reason=“don't wait”"]
        {
            match check(&format!("/plimsoll rollback production {reason}")) {
                Ok(Verb::Rollback { reason, .. }) => assert_eq!(reason, wanted),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_command_that_is_not_understood_says_how_it_is_written() {
        let lines = [
            "/plimsoll aprove production",
            "/plimsoll dance",
            "/plimsoll lock production",
            "/plimsoll deploy",
            "/plimsoll deploy main",
            "/plimsoll deploy main production",
            "/plimsoll deploy main to",
            "/plimsoll status now",
            "/plimsoll approve production abc",
            "/plimsoll rollback production abcdef1",
            "/plimsoll approve production --reason x",
            "/plimsoll approve production --servcie x",
            "/plimsoll approve production --service",
            "/plimsoll deploy main to production --service --reason x",
            "/plimsoll approve production --service a --service b",
            "/plimsoll rollback production --reason \"never closed",
            "/plimsoll approve `production`",
        ];
        let told: Vec<String> = lines.iter().map(|line| format!("{line}\n  {}", refused(line))).collect();
        insta::assert_snapshot!(told.join("\n"), @r#"
        /plimsoll aprove production
          `aprove` is not a command. Did you mean `approve`?
        /plimsoll dance
          `dance` is not a command. `/plimsoll help` lists them all.
        /plimsoll lock production
          This version of Plimsoll has no `lock` yet. `/plimsoll help` lists what it has.
        /plimsoll deploy
          `deploy` lacks the branch, tag or commit. Usage: `/plimsoll deploy <ref|sha> to <environment> [--service <service>] [--reason "..."]`.
        /plimsoll deploy main
          `deploy` lacks the word `to`. Usage: `/plimsoll deploy <ref|sha> to <environment> [--service <service>] [--reason "..."]`.
        /plimsoll deploy main production
          `deploy` wants `to` where `production` stands. Usage: `/plimsoll deploy <ref|sha> to <environment> [--service <service>] [--reason "..."]`.
        /plimsoll deploy main to
          `deploy` lacks the environment. Usage: `/plimsoll deploy <ref|sha> to <environment> [--service <service>] [--reason "..."]`.
        /plimsoll status now
          `status` has a word too many: `now`. Usage: `/plimsoll status`.
        /plimsoll approve production abc
          `abc` is not a commit: write 7 to 64 hexadecimal digits of its hash.
        /plimsoll rollback production abcdef1
          `rollback` wants `to` where `abcdef1` stands. Usage: `/plimsoll rollback <environment> [to <sha>] [--service <service>] [--reason "..."]`.
        /plimsoll approve production --reason x
          `approve` takes no `--reason`. Usage: `/plimsoll approve <environment> [<sha>] [--service <service>]`.
        /plimsoll approve production --servcie x
          `approve` takes no `--servcie`. Did you mean `--service`? Usage: `/plimsoll approve <environment> [<sha>] [--service <service>]`.
        /plimsoll approve production --service
          `--service` lacks its value. Usage: `/plimsoll approve <environment> [<sha>] [--service <service>]`.
        /plimsoll deploy main to production --service --reason x
          `--service` lacks its value. Usage: `/plimsoll deploy <ref|sha> to <environment> [--service <service>] [--reason "..."]`.
        /plimsoll approve production --service a --service b
          `--service` is given twice.
        /plimsoll rollback production --reason "never closed
          A quotation mark is opened and never closed.
        /plimsoll approve `production`
          This command holds code, a link or HTML, so it was not run. Please write it again as plain text.
        "#);
    }

    #[test]
    fn names_that_could_do_harm_are_refused_and_shown_safely() {
        let lines = [
            "/plimsoll deploy -rf to production",
            "/plimsoll deploy a..b to production",
            "/plimsoll deploy a:b to production",
            "/plimsoll deploy refs//x to production",
            "/plimsoll deploy x.lock to production",
            "/plimsoll deploy a\\`b to production",
            "/plimsoll approve \"two words\"",
            "/plimsoll approve pro\u{202e}duction",
            "/plimsoll approve @everyone@",
            "/plimsoll <script>",
        ];
        let told: Vec<String> =
            lines.iter().map(|line| check(line).map_or_else(|told| told, |verb| format!("{verb:?}"))).collect();
        insta::assert_snapshot!(told.join("\n"), @r#"
        `-rf` cannot be a branch, tag or commit.
        `a..b` cannot be a branch, tag or commit.
        `a:b` cannot be a branch, tag or commit.
        `refs//x` cannot be a branch, tag or commit.
        `x.lock` cannot be a branch, tag or commit.
        ``a\`b`` cannot be a branch, tag or commit.
        `two words` cannot be the name of an environment.
        `pro�duction` cannot be the name of an environment.
        Approve { environment: EnvironmentName("@everyone@"), sha: None, service: None }
        This command holds code, a link or HTML, so it was not run. Please write it again as plain text.
        "#);
        assert!(refused(&format!("/plimsoll approve {}", "e".repeat(65))).contains("too long"));
    }

    #[test]
    fn the_sixth_command_is_left_out_and_counted() {
        let Parsed { commands, left_out } = commands(&"/plimsoll status\n".repeat(7));
        assert_eq!((commands.len(), left_out), (5, 2));
        assert!(commands.iter().all(|command| *command == Ok(Verb::Status)));
    }

    #[test]
    fn a_comment_without_a_command_asks_for_nothing() {
        assert_eq!(commands("Plimsoll is a line on a ship."), Parsed::default());
    }

    proptest! {
        #[test]
        fn any_words_are_a_verb_or_a_problem(words in "[-a-z0-9@:/\"“” =.~^\\\\—\u{202e}é]{0,80}") {
            for command in commands(&format!("/plimsoll {words}")).commands {
                if let Err(problem) = command {
                    prop_assert!(!problem.message.contains('\n'));
                }
            }
        }

        #[test]
        fn what_is_read_is_what_was_written(env in "[a-z][a-z0-9._-]{0,20}", sha in "[0-9a-f]{7,40}") {
            let read = check(&format!("/plimsoll approve {env} {sha}"));
            prop_assert_eq!(read, Ok(Verb::Approve { environment: EnvironmentName::new(env), sha: Some(sha), service: None }));
        }
    }
}
