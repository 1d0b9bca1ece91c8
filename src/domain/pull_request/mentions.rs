//! What a pull request's description says of other things: issues that it closes, what it reverts.
//!
//! Knows GitHub's words for both. Must never know whether such an issue or commit exists.

use crate::domain::event::Reverted;
use crate::domain::ids::*;
use crate::domain::markdown::prose;

/// How many of each are kept.
const KEPT: usize = 20;
/// GitHub's closing keywords.
const CLOSES: [&str; 9] = ["close", "closes", "closed", "fix", "fixes", "fixed", "resolve", "resolves", "resolved"];

/// Issues of `repo` that the description closes, in the order written: a keyword, then `#12`, `owner/name#12` or the
/// issue's address. What stands in code or in an HTML comment does not count.
pub(super) fn closes(body: &str, repo: &RepoName) -> Vec<u64> {
    let mut found = Vec::new();
    for line in prose(body) {
        let words: Vec<&str> = line.split_whitespace().collect();
        for pair in words.windows(2) {
            let [keyword, reference] = pair else { continue };
            let keyword = keyword.trim_start_matches(|c: char| !c.is_alphanumeric()).trim_end_matches(':');
            if !CLOSES.iter().any(|known| known.eq_ignore_ascii_case(keyword)) {
                continue;
            }
            let Some(number) = issue(reference, repo) else { continue };
            if !found.contains(&number) {
                found.push(number);
            }
        }
    }
    found.truncate(KEPT);
    found
}

/// What the description says it reverts, in the order written, as GitHub's button and git write it, each on a line of
/// its own. A title alone names nothing, and under another title a line is only talk: whoever merges reads the title.
pub(super) fn reverts(title: &str, body: &str, repo: &RepoName) -> Vec<Reverted> {
    let mut found = Vec::new();
    if !title.trim_start().get(..6).is_some_and(|word| word.eq_ignore_ascii_case("revert")) {
        return found;
    }
    for line in prose(body) {
        let Some(reverted) = reverted(line.trim(), repo) else { continue };
        if !found.contains(&reverted) {
            found.push(reverted);
        }
    }
    found.truncate(KEPT);
    found
}

fn reverted(line: &str, repo: &RepoName) -> Option<Reverted> {
    if let Some(rest) = line.strip_prefix("This reverts commit ") {
        // A merge is reverted "commit <hash>, reversing changes made to <hash>.".
        let digits = rest.split([',', '.', ' ']).next()?;
        return Sha::parse(digits).map(Reverted::Commit);
    }
    let reference = line.strip_prefix("Reverts ")?;
    if reference.contains(char::is_whitespace) {
        return None;
    }
    issue(reference, repo).map(|number| Reverted::Pull(PullNumber(number)))
}

/// The number that a reference names in this repository.
fn issue(reference: &str, repo: &RepoName) -> Option<u64> {
    let reference = reference.trim_end_matches(|c: char| !c.is_ascii_digit());
    let (place, number) = match reference.strip_prefix("https://github.com/") {
        Some(path) => {
            let (rest, number) = path.rsplit_once('/')?;
            (rest.strip_suffix("/issues").or_else(|| rest.strip_suffix("/pull"))?, number)
        }
        None => reference.split_once('#')?,
    };
    let here = place.is_empty() && reference.starts_with('#') || place.eq_ignore_ascii_case(repo.as_str());
    let plain = number.bytes().all(|b| b.is_ascii_digit());
    number.parse().ok().filter(|number| here && plain && *number > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repo() -> RepoName {
        RepoName::parse("acme/shop").expect("a plain name")
    }

    #[test]
    fn a_keyword_and_a_reference_of_this_repository_close_an_issue() {
        let body = "Fixes #1 and closed: acme/shop#2, resolves https://github.com/Acme/Shop/issues/3.\n\n\
                    - (close #4)\n- **Resolved #5**!\n- fix\n#6\n- FIXES #1";
        assert_eq!(closes(body, &repo()), [1, 2, 3, 4, 5]);
    }

    #[test]
    fn what_is_code_elsewhere_or_no_reference_closes_nothing() {
        for body in [
            "`fixes #1`",
            "```\nfixes #1\n```",
            "<!-- fixes #1 -->",
            "fixes acme/other#1",
            "fixes https://github.com/acme/other/issues/1",
            "fixes https://evil.example/acme/shop/issues/1",
            "prefixes #1",
            "fixes 1",
            "fixes #",
            "fixes #0",
            "fixes #1x2",
            "fixes #99999999999999999999999",
            "fixes the bug of #1",
            "see #1",
        ] {
            assert_eq!(closes(body, &repo()), [0; 0], "{body}");
        }
    }

    #[test]
    fn at_most_twenty_issues_are_kept() {
        let body: String = (1..=30).map(|n| format!("fixes #{n}\n")).collect();
        assert_eq!(closes(&body, &repo()).len(), 20);
    }

    #[test]
    fn githubs_button_and_git_say_what_is_reverted() {
        let hash = "A".repeat(40);
        let body = format!("Reverts acme/shop#12\nReverts #13.\n\nThis reverts commit {hash}.\n");
        let sha = Sha::parse(&hash).expect("a hash");
        let pull = |n| Reverted::Pull(PullNumber(n));
        assert_eq!(reverts("Revert it", &body, &repo()), [pull(12), pull(13), Reverted::Commit(sha.clone())]);
        let merge = format!("This reverts commit {hash}, reversing\nchanges made to {}.", "b".repeat(40));
        assert_eq!(reverts("revert: it", &merge, &repo()), [Reverted::Commit(sha)]);
    }

    #[test]
    fn half_a_hash_another_repository_or_a_sentence_revert_nothing() {
        for body in [
            "Reverts acme/other#12",
            "Reverts #12 in part",
            "It Reverts #12",
            "This reverts commit abcdef1.",
            "`Reverts #12`",
            "    Reverts #12",
            "Revert \"feat: cents\"",
        ] {
            assert_eq!(reverts("Revert it", body, &repo()), [], "{body}");
        }
    }
}
