//! What kind of file a path is: test, prose, setting or other code.
//!
//! Knows paths. Must never know what is in a file. The endings are those by which the shipped model's data was made.

/// What a path holds, as far as its name tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileKind {
    Test,
    Prose,
    /// HTML: prose and code at once.
    Page,
    Setting,
    Code,
    Other,
}

const PROSE: [&str; 8] = ["adoc", "asciidoc", "markdown", "md", "po", "pot", "rst", "txt"];
const PAGES: [&str; 2] = ["htm", "html"];
const SETTINGS: [&str; 13] =
    ["cfg", "cmake", "conf", "config", "gradle", "ini", "json", "properties", "tf", "toml", "xml", "yaml", "yml"];
const CODE: [&str; 56] = [
    "bash", "c", "cc", "clj", "cpp", "cs", "css", "cxx", "dart", "el", "erl", "ex", "exs", "f90", "fs", "go", "groovy",
    "h", "hh", "hpp", "hs", "hxx", "java", "jl", "js", "jsx", "kt", "kts", "less", "lua", "m", "mjs", "ml", "mm",
    "php", "pl", "pm", "proto", "py", "pyx", "r", "rb", "rs", "s", "sass", "scala", "scss", "sh", "sql", "svelte",
    "swift", "ts", "tsx", "vb", "vue", "zig",
];
/// Folders of which everything below tests.
const TEST_FOLDERS: [&str; 9] = ["__tests__", "e2e", "spec", "specs", "t", "test", "testdata", "testing", "tests"];

impl FileKind {
    /// The first kind that fits, in the order of the enum.
    pub fn of(path: &str) -> Self {
        let lower = path.to_ascii_lowercase();
        let (folders, name) = lower.rsplit_once('/').unwrap_or(("", &lower));
        let (stem, ending) = name.rsplit_once('.').unwrap_or((name, ""));
        let says_test = stem.starts_with("test_")
            || ["_test", ".test", ".tests", "-test", "_spec", ".spec", "-spec"].iter().any(|e| stem.ends_with(e))
            // `ShopTest.java`, by its capital letter: `latest.js` is none.
            || path.rsplit('/').next().is_some_and(|own| {
                let own = own.split('.').next().unwrap_or(own);
                ["Test", "Tests", "Spec"].iter().any(|end| own.ends_with(end)) || own.starts_with("Test")
            });
        let below = |folder: &str| TEST_FOLDERS.contains(&folder);
        if says_test || folders.split('/').any(below) {
            Self::Test
        } else if PAGES.contains(&ending) {
            Self::Page
        } else if PROSE.contains(&ending) || folders.split('/').any(|folder| matches!(folder, "doc" | "docs")) {
            Self::Prose
        } else if SETTINGS.contains(&ending) {
            Self::Setting
        } else if CODE.contains(&ending) {
            Self::Code
        } else {
            Self::Other
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_tells_the_kind() {
        let kinds = |paths: &[&str]| paths.iter().map(|path| FileKind::of(path)).collect::<Vec<_>>();
        use FileKind::*;
        assert_eq!(
            kinds(&["test/a.c", "a/tests/b.txt", "a_test.go", "a.spec.ts", "test_a.py", "src/ShopTest.java"]),
            [Test; 6]
        );
        assert_eq!(kinds(&["README.md", "docs/a.py", "a.TXT"]), [Prose; 3]);
        assert_eq!(kinds(&["web/index.html"]), [Page]);
        assert_eq!(kinds(&["ci.yml", "Cargo.toml", "a/b.json"]), [Setting; 3]);
        assert_eq!(kinds(&["src/latest.js", "a.rs", "tools/contest.py", "x.H"]), [Code; 4]);
        assert_eq!(kinds(&["Makefile", "logo.png", ".gitignore", ""]), [Other; 4]);
    }

    #[test]
    fn the_lists_are_sorted_without_doubles() {
        let sorted = |list: &[&str]| list.windows(2).all(|pair| pair[0] < pair[1]);
        assert!(sorted(&PROSE) && sorted(&SETTINGS) && sorted(&CODE) && sorted(&TEST_FOLDERS));
    }
}
