//! When a candidate may start.
//!
//! Knows approvals, holds and who is behind a change. Must never know how somebody became a member of a team.

use super::*;
use crate::domain::event::StageStanding;
use crate::domain::facts::{CommitSnapshot, Person};
use crate::domain::markdown::code;

/// Whether a candidate may start now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gate {
    Open,
    /// Something is in the way; `because` is a whole sentence.
    Closed {
        standing: StageStanding,
        because: String,
    },
}

/// Judges the gate of a candidate in its environment.
///
/// A rollback is mitigation: nothing but a running rollout stands in its way, and that is not judged here.
pub fn gate(release: &Release, stage: &Stage, environment: &Environment) -> Gate {
    if release.is_rollback() {
        return Gate::Open;
    }
    let name = code(environment.name.as_str());
    if let Some(hold) = &environment.hold {
        let because = format!("{name} is held: {} {} ends the hold.", hold.reason, resume_command(&environment.name));
        return Gate::Closed { standing: StageStanding::Held, because };
    }
    let Some(requirement) = &stage.policy.approval else { return Gate::Open };
    let wanted = requirement.count as usize;
    let given = approvers(release, stage, environment).len();
    if given >= wanted {
        return Gate::Open;
    }
    let because = format!(
        "Waits for approval of `{}` by {} ({given} of {wanted} given): {}.",
        release.sha.short(),
        who_may(requirement),
        approve_command(&environment.name),
    );
    Gate::Closed { standing: StageStanding::AwaitingApproval, because }
}

/// Who has approved exactly this commit over exactly what is live, each once.
pub fn approvers<'a>(release: &Release, stage: &'a Stage, environment: &Environment) -> Vec<&'a Login> {
    let StagePhase::Waiting { approvals, .. } = &stage.phase else { return Vec::new() };
    let live = environment.live.as_ref().map(|live| &live.sha);
    let mut by: Vec<&Login> =
        approvals.iter().filter(|a| a.sha == release.sha && a.live.as_ref() == live).map(|a| &a.by).collect();
    by.sort();
    by.dedup();
    by
}

/// Says in words who may meet a requirement.
pub fn who_may(requirement: &crate::domain::policy::Requirement) -> String {
    let mut who: Vec<String> =
        requirement.teams.iter().map(|team| format!("members of {}", code(team.as_str()))).collect();
    who.extend(requirement.users.iter().map(|user| code(user.as_str())));
    if who.is_empty() {
        return "anybody with write permission".to_owned();
    }
    who.join(" or ")
}

/// The command that approves, as a person types it.
pub fn approve_command(environment: &EnvironmentName) -> String {
    code(&format!("/plimsoll approve {environment}"))
}

/// The command that ends a hold, as a person types it.
pub fn resume_command(environment: &EnvironmentName) -> String {
    code(&format!("/plimsoll resume {environment}"))
}

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
