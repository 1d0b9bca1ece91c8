//! What a commit's message says of its change.
//!
//! Knows words. Must never know who wrote them.
//!
//! The words are those by which the shipped model's data was made, so that a metric means the same when it is learned
//! and when it is used. They are looked for in the title, i.e. the first paragraph on one line, as `git log --format=%s`
//! prints it; issues and reverts in all of the message.

/// What a message says, with the message left behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Message {
    /// The first paragraph on one line; of a merge that GitHub made: the pull request's title.
    pub title: String,
    /// Characters of the title and the rest.
    pub chars: u32,
    pub title_chars: u32,
    pub fix: bool,
    pub issue: bool,
    pub revert: bool,
    pub refactor: bool,
    pub feature: bool,
    /// The title calls the change a hotfix.
    pub hotfix: bool,
    /// Number of the pull request that brought the change, if the message names it as GitHub does.
    pub pull: Option<u64>,
    /// The commits that are reverted, as far as their hashes are named: 7 to 40 hexadecimal digits.
    pub reverts: Vec<String>,
    /// The title of the change that is reverted, from `Revert "..."`.
    pub reverted_title: Option<String>,
    /// Number of the pull request that is reverted, from GitHub's `Reverts owner/name#12`.
    pub reverted_pull: Option<u64>,
}

/// Whole words of a title that say that something is mended.
const FIX: [&str; 33] = [
    "bug",
    "bugfix",
    "bugfixes",
    "bugs",
    "broken",
    "crash",
    "crashed",
    "crashes",
    "crashing",
    "defect",
    "defects",
    "error",
    "errors",
    "fail",
    "failed",
    "failing",
    "fails",
    "failure",
    "fault",
    "faults",
    "fix",
    "fixed",
    "fixes",
    "fixing",
    "hotfix",
    "hotfixes",
    "patch",
    "patched",
    "patches",
    "problem",
    "problems",
    "regression",
    "regressions",
];
const WRONG: &str = "wrong";
/// Parts of a title that say that the code is put in order.
const REFACTOR: [&str; 11] =
    ["refactor", "clean", "renam", "move", "moving", "typo", "style", "format", "comment", "lint", "doc"];
/// Beginnings of words of a title that say that something new is brought.
const FEATURE: [&str; 7] = ["add", "new", "implement", "support", "feature", "introduce", "allow"];

impl Message {
    /// Reads a message as it stands in the commit. `commits` are the titles that a merge brings: they speak when the
    /// merge's own message says nothing.
    pub fn read(message: &str, commits: &[String]) -> Self {
        let message = message.trim();
        let merged = merged_pull(message);
        let (title, body) = match (merged, message.split_once("\n\n")) {
            (Some(_), Some((_, own))) => paragraph(own),
            (Some(_), None) => (message.to_owned(), ""),
            (None, _) => paragraph(message),
        };
        let speaks = merged.is_some() || !title.starts_with("Merge ") || commits.is_empty();
        let spoken = if speaks { title.clone() } else { commits.join("\n") };
        let lower = spoken.to_lowercase();
        let words = || lower.split(|c: char| !(c.is_alphanumeric() || c == '_'));
        Self {
            chars: count(&title) + 1 + count(body),
            title_chars: count(&title),
            fix: words().any(|word| FIX.contains(&word) || word == WRONG),
            issue: names_issue(message) || (!speaks && commits.iter().any(|title| names_issue(title))),
            revert: lower.starts_with("revert") || message.to_lowercase().contains("this reverts"),
            refactor: REFACTOR.iter().any(|part| lower.contains(part)),
            feature: words().any(|word| FEATURE.iter().any(|start| word.starts_with(start))),
            hotfix: words().any(|word| word.starts_with("hotfix")),
            pull: merged.or_else(|| squashed_pull(&title)),
            reverts: reverted_commits(message),
            reverted_title: Self::reverted_title(&title),
            reverted_pull: reverted_pull(message),
            title,
        }
    }

    /// `Revert "Sell shoes"`, by git and by GitHub; the `Reapply` of newer versions is none.
    pub fn reverted_title(title: &str) -> Option<String> {
        let inner = title.strip_prefix("Revert \"")?;
        let end = inner.rfind('"')?;
        Some(inner[..end].to_owned())
    }
}

/// Title and rest of a message. Lines of the first paragraph are joined by a blank.
fn paragraph(message: &str) -> (String, &str) {
    let message = message.trim();
    let (title, body) = match message.find("\n\n").or_else(|| message.find("\n\r\n")) {
        Some(end) => message.split_at(end),
        None => (message, ""),
    };
    (title.lines().map(str::trim_end).collect::<Vec<_>>().join(" "), body.trim())
}

fn count(text: &str) -> u32 {
    u32::try_from(text.chars().count()).unwrap_or(u32::MAX)
}

/// `#12` anywhere, or a key as other trackers make it, `SHOP-12`.
fn names_issue(text: &str) -> bool {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    bytes.iter().enumerate().any(|(at, byte)| match byte {
        b'#' => digit(at + 1),
        b'-' if digit(at + 1) => {
            let key = bytes[..at].iter().rev().take_while(|b| b.is_ascii_uppercase() || b.is_ascii_digit()).count();
            let before = at.checked_sub(key + 1).map(|before| bytes[before]);
            let starts = !before.is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_' || b >= 0x80);
            key >= 2 && starts && bytes[at - key].is_ascii_uppercase()
        }
        _ => false,
    })
}

/// `Merge pull request #12 from ...`, as GitHub titles its merges.
fn merged_pull(message: &str) -> Option<u64> {
    number(message.strip_prefix("Merge pull request #")?)
}

/// `Sell shoes (#12)`, as GitHub titles a squashed pull request.
fn squashed_pull(title: &str) -> Option<u64> {
    let (_, last) = title.trim_end().strip_suffix(')')?.rsplit_once("(#")?;
    last.bytes().all(|b| b.is_ascii_digit()).then(|| number(last)).flatten()
}

fn number(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    text[..digits].parse().ok()
}

/// Hashes in `This reverts commit <hash>`, as git words it, and in the list that follows.
fn reverted_commits(message: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = message;
    while let Some(at) = rest.find("his reverts commit") {
        rest = &rest[at + "his reverts commit".len()..];
        let sentence = rest.split(['.', '\n']).next().unwrap_or(rest);
        let names = |word: &&str| (7..=40).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_hexdigit());
        let words = sentence.split(|c: char| !c.is_ascii_alphanumeric()).filter(names);
        found.extend(words.map(str::to_ascii_lowercase));
    }
    found
}

/// `Reverts acme/shop#12`, the text that GitHub's button writes.
fn reverted_pull(message: &str) -> Option<u64> {
    message.lines().find_map(|line| {
        let (name, rest) = line.trim().strip_prefix("Reverts ")?.split_once('#')?;
        name.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-_.".contains(&b)).then(|| number(rest)).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(message: &str) -> Message {
        Message::read(message, &[])
    }

    #[test]
    fn a_title_says_whether_something_is_mended() {
        for text in ["Fix prices", "shop: a wrong price", "A bug", "BUGFIX: x", "Crash on start", "hotfix: x"] {
            assert!(read(text).fix, "{text}");
        }
        for text in ["Prefix names", "bughunting", "test fixtures", "Debug", "fixup", "Sell\n\nfix", "WRONG_DATA"] {
            assert!(!read(text).fix, "{text}");
        }
    }

    #[test]
    fn a_merge_of_a_pull_request_speaks_with_its_title() {
        let merge = read("Merge pull request #12 from ada/shoes\n\nAdd shoes\n\nIn all sizes.");
        assert_eq!((merge.title.as_str(), merge.pull), ("Add shoes", Some(12)));
        assert_eq!((merge.title_chars, merge.chars), (9, 23));
        assert!(merge.feature && merge.issue && !merge.fix);
        assert_eq!(read("Merge pull request #12 from ada/shoes").title, "Merge pull request #12 from ada/shoes");
    }

    #[test]
    fn a_plain_merge_speaks_with_what_it_brings() {
        let merge = Message::read("Merge branch 'shoes'", &["Fix laces".to_owned()]);
        assert!(merge.fix);
        assert_eq!(merge.title, "Merge branch 'shoes'");
        assert!(!Message::read("Merge branch 'fix'", &["Sell shoes".to_owned()]).fix);
    }

    #[test]
    fn a_squashed_pull_request_names_its_number() {
        let number = |text| read(text).pull;
        assert_eq!(number("Sell shoes (#12)"), Some(12));
        assert_eq!(number("Sell shoes (#1) (#12)"), Some(12));
        assert_eq!(number("Sell shoes (see #12)"), None);
        assert_eq!(number("Sell (#99999999999999999999999)"), None);
        assert_eq!(number("Sell shoes #12"), None);
    }

    #[test]
    fn a_first_paragraph_of_several_lines_is_one_title() {
        let message = read("Sell shoes\nand laces\n\nBoth.\n");
        assert_eq!((message.title.as_str(), message.title_chars, message.chars), ("Sell shoes and laces", 20, 26));
        assert_eq!(read(""), Message { chars: 1, ..Message::default() });
    }

    #[test]
    fn issues_are_named_by_number_or_key() {
        for text in ["see #1", "x\n\nCloses #22", "CVE-2019-14494", "(SHOP-12) x"] {
            assert!(read(text).issue, "{text}");
        }
        for text in ["# 1", "utf-8", "A-1", "xAB-1", "UTF-x", "-1"] {
            assert!(!read(text).issue, "{text}");
        }
    }

    #[test]
    fn reverts_are_read_in_gits_and_githubs_wording() {
        let git = read("Revert \"Say \"hi\"\"\n\nThis reverts commit 0123456789abcdef0123456789abcdef01234567.");
        assert!(git.revert);
        assert_eq!(git.reverts, ["0123456789abcdef0123456789abcdef01234567"]);
        assert_eq!(git.reverted_title.as_deref(), Some("Say \"hi\""));
        let two = read("Undo\n\nThis reverts commits 0123456 and 89abcde.\nIt was bad 1234567.");
        assert_eq!(two.reverts, ["0123456", "89abcde"]);
        let github = read("Revert \"Sell shoes\" (#13)\n\nReverts acme/shop#12");
        assert_eq!((github.reverted_pull, github.pull), (Some(12), Some(13)));
        assert_eq!(github.reverted_title.as_deref(), Some("Sell shoes"));
        let partly = read("Remove a test\n\nThis partially reverts commit 0123456.");
        assert_eq!((partly.revert, partly.reverts.len()), (false, 0));
    }
}
