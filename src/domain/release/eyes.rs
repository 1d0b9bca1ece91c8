//! Four eyes over a whole release: who had a hand in what it brings.
//!
//! Knows how commits name people. Must never know who asks, or what they want to approve.

use super::*;
use crate::domain::facts::{CommitSnapshot, Person};

/// How somebody had a hand in what a candidate would bring, in words; `None`: not at all.
///
/// `changes` are the merged pull requests, `commits` all commits between live and candidate. Commits name people by
/// account where GitHub knows it; a trailer names them by mail address only, and then an address whose local part is
/// the login counts as theirs: a wrong match costs a second approver, a missed one would cost the rule.
pub fn hand_in(login: &Login, changes: &[&Change], commits: &[CommitSnapshot]) -> Option<String> {
    for change in changes {
        let number = change.pull;
        if change.author == *login {
            return Some(format!("is the author of #{number}"));
        }
        if change.merged_by.as_ref() == Some(login) {
            return Some(format!("merged #{number}"));
        }
        if change.people.iter().any(|person| is(person, login)) {
            return Some(format!("wrote commits of #{number}"));
        }
    }
    commits.iter().find_map(|commit| {
        let sha = commit.sha.short();
        if is(&commit.author, login) {
            return Some(format!("is the author of `{sha}`"));
        }
        if is(&commit.committer, login) {
            return Some(format!("is the committer of `{sha}`"));
        }
        co_authors(&commit.message).iter().any(|person| is(person, login)).then(|| format!("is a co-author of `{sha}`"))
    })
}

/// Whether a person, as a commit names them, is this account.
fn is(person: &Person, login: &Login) -> bool {
    if let Some(known) = &person.login {
        return known == login;
    }
    let same = |text: &str| text.eq_ignore_ascii_case(login.as_str());
    let local = person.email.split('@').next().unwrap_or_default();
    let noreply = person.email.to_ascii_lowercase().ends_with("@users.noreply.github.com");
    let account = if noreply { local.rsplit('+').next().unwrap_or(local) } else { local };
    same(account) || same(person.name.trim())
}

/// The people whom the `Co-authored-by:` trailers of a message name.
pub fn co_authors(message: &str) -> Vec<Person> {
    message
        .lines()
        .filter_map(|line| {
            let (key, value) = line.trim().split_once(':')?;
            if !key.trim().eq_ignore_ascii_case("co-authored-by") {
                return None;
            }
            let (name, rest) = value.split_once('<')?;
            let email = rest.split('>').next()?;
            Some(Person { login: None, name: name.trim().to_owned(), email: email.trim().to_owned() })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(login: Option<&str>, name: &str, email: &str) -> Person {
        Person { login: login.map(Login::new), name: name.into(), email: email.into() }
    }

    #[test]
    fn a_co_author_is_known_by_noreply_address_local_part_or_name() {
        let found = co_authors(
            "Fix it\n\nCo-authored-by: Grace H <12+grace@users.noreply.github.com>\nco-authored-by: linus <l@x.example>",
        );
        assert_eq!(found.len(), 2);
        assert!(is(&found[0], &Login::new("Grace")));
        assert!(is(&found[1], &Login::new("linus")));
        assert!(!is(&found[1], &Login::new("grace")));
        assert!(is(&person(None, "A", "ada@acme.example"), &Login::new("ada")));
    }

    #[test]
    fn a_known_account_is_not_confused_by_its_name() {
        assert!(!is(&person(Some("mallory"), "ada", "ada@acme.example"), &Login::new("ada")));
    }
}
