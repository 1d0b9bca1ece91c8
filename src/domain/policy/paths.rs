//! Paths against patterns: which services a change touches, and which files people wrote.
//!
//! Knows paths as GitHub lists them. Must never know what is in a file.

use super::{Pipeline, Policy, Rule};
use crate::domain::facts::{ChangedFile, ChangedFiles, FileStatus};
use crate::domain::ids::ServiceName;
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// Patterns that a path may match.
///
/// `*` and `?` stay within a folder, `**` crosses folders, `{a,b}` and `[ab]` are alternatives; a pattern that ends
/// in `/` means everything below. Paths are compared whole and with case.
pub struct Patterns(Option<GlobSet>);

impl Patterns {
    /// Patterns that cannot be built match every path: a rule or a service that asks for too much is noticed, one that
    /// asks for nothing is not.
    pub fn new(globs: &[String]) -> Self {
        let mut set = GlobSetBuilder::new();
        for glob in globs {
            match build(glob) {
                Ok(glob) => _ = set.add(glob),
                Err(_) => return Self(None),
            }
        }
        Self(set.build().ok())
    }

    /// Whether the path matches one of them.
    pub fn is_match(&self, path: &str) -> bool {
        self.0.as_ref().is_none_or(|set| set.is_match(path))
    }

    /// Whether the file's path, or the one before a rename, matches one of them.
    pub fn touches(&self, file: &ChangedFile) -> bool {
        self.is_match(&file.path) || file.previous_path.as_deref().is_some_and(|path| self.is_match(path))
    }
}

fn build(glob: &str) -> Result<globset::Glob, globset::Error> {
    let all_below = if glob.ends_with('/') { format!("{glob}**") } else { glob.to_owned() };
    GlobBuilder::new(&all_below).literal_separator(true).backslash_escape(true).build()
}

/// Why a pattern cannot be used, without a full stop; `None` when it can.
pub(super) fn glob_problem(glob: &str) -> Option<String> {
    if glob.starts_with('!') {
        return Some("a leading `!` is not supported, list what is meant instead".to_owned());
    }
    if glob.starts_with('/') || glob.starts_with("./") {
        return Some("paths begin at the top of the repository, without `/` or `./`".to_owned());
    }
    match build(glob).and_then(|glob| GlobSetBuilder::new().add(glob).build()) {
        Ok(_) => None,
        Err(error) => Some(error.kind().to_string()),
    }
}

/// The services that a change touches, in the order of the policy.
///
/// A rename touches where the file was and where it is. When the list of files was cut, nobody knows what else the
/// change touches, so it is all of them.
pub fn touched_services(policy: &Policy, changed: &ChangedFiles) -> Vec<ServiceName> {
    let touched = policy.services.iter().filter(|service| {
        let patterns = Patterns::new(&service.paths);
        changed.cut || changed.files.iter().any(|file| service.paths.is_empty() || patterns.touches(file))
    });
    touched.map(|service| service.name.clone()).collect()
}

/// How many paths that cannot be taken back are told.
const IRREVERSIBLE_MAX: usize = 5;

/// Paths that the policy says cannot be taken back; the first few. With patterns of a service only those of its own.
pub fn irreversible_paths(pipeline: &Pipeline, changed: &ChangedFiles, of: &[String]) -> Vec<String> {
    if pipeline.irreversible.is_empty() {
        return Vec::new();
    }
    let (patterns, own) = (Patterns::new(&pipeline.irreversible), Patterns::new(of));
    let meant = |file: &&ChangedFile| patterns.touches(file) && (of.is_empty() || own.touches(file));
    changed.files.iter().filter(meant).map(|file| file.path.clone()).take(IRREVERSIBLE_MAX).collect()
}

/// Whether a rule holds for a change, and by which file; a cut list makes every rule hold.
pub(super) fn rule_applies<'f>(rule: &Rule, changed: &'f ChangedFiles) -> Option<Option<&'f str>> {
    let patterns = Patterns::new(&rule.changed_files);
    match changed.files.iter().find(|file| patterns.touches(file)) {
        Some(file) => Some(Some(&file.path)),
        None => changed.cut.then_some(None),
    }
}

/// Folders of which everything below is generated or somebody else's.
pub const GENERATED_FOLDERS: [&str; 9] = [
    ".yarn",
    "__generated__",
    "__snapshots__",
    "bower_components",
    "dist",
    "generated",
    "node_modules",
    "third_party",
    "vendor",
];

/// Files that tools write, by their whole name.
pub const GENERATED_NAMES: [&str; 23] = [
    "Cargo.lock",
    "Gemfile.lock",
    "Package.resolved",
    "Pipfile.lock",
    "Podfile.lock",
    "bun.lock",
    "bun.lockb",
    "composer.lock",
    "deno.lock",
    "flake.lock",
    "go.sum",
    "go.work.sum",
    "gradle.lockfile",
    "mix.lock",
    "npm-shrinkwrap.json",
    "package-lock.json",
    "packages.lock.json",
    "pdm.lock",
    "pnpm-lock.yaml",
    "poetry.lock",
    "pubspec.lock",
    "uv.lock",
    "yarn.lock",
];

/// Files that tools write, by how the name ends.
pub const GENERATED_ENDINGS: [&str; 18] = [
    ".css.map",
    ".designer.cs",
    ".freezed.dart",
    ".g.cs",
    ".g.dart",
    ".js.map",
    ".min.css",
    ".min.js",
    ".min.mjs",
    ".pb.cc",
    ".pb.go",
    ".pb.h",
    ".pb.swift",
    ".snap",
    "_pb2.py",
    "_pb2.pyi",
    "_pb2_grpc.py",
    "_pb.js",
];

/// Whether a file is written by a tool or copied from elsewhere, so that its lines say nothing about a change.
///
/// Judged by the path alone: [`GENERATED_FOLDERS`], [`GENERATED_NAMES`], [`GENERATED_ENDINGS`], and names with
/// `_generated.`, `.generated.` or a leading `zz_generated.`
pub fn is_generated(path: &str) -> bool {
    let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
    folders.split('/').any(|folder| GENERATED_FOLDERS.contains(&folder))
        || GENERATED_NAMES.contains(&name)
        || GENERATED_ENDINGS.iter().any(|ending| name.ends_with(ending))
        || ["_generated.", ".generated."].iter().any(|mark| name.contains(mark))
        || name.starts_with("zz_generated.")
}

/// The files of a change that people wrote.
pub fn counted_files(changed: &ChangedFiles) -> impl Iterator<Item = &ChangedFile> {
    changed.files.iter().filter(|file| !is_generated(&file.path))
}

/// Changed lines (added + deleted) of the files that people wrote; `None` when GitHub does not say.
///
/// It does not when the list was cut. Nor when every file reads 0 lines though some text changed: past some size
/// GitHub stops counting, which must never pass for a small change.
pub fn counted_lines(changed: &ChangedFiles) -> Option<u64> {
    let lines = counted_files(changed).fold(0u64, |sum, file| sum.saturating_add(lines_of(file)));
    let uncounted = lines == 0 && counted_files(changed).any(is_changed_text);
    (!changed.cut && !uncounted).then_some(lines)
}

/// Changed lines that GitHub does say, whatever else there is.
pub(super) fn lines_at_least(changed: &ChangedFiles) -> u64 {
    counted_files(changed).fold(0, |sum, file| sum.saturating_add(lines_of(file)))
}

fn lines_of(file: &ChangedFile) -> u64 {
    file.additions.saturating_add(file.deletions)
}

/// Files that have no lines, by how the name ends.
const BINARY_ENDINGS: [&str; 36] = [
    "7z", "bin", "bmp", "class", "db", "dll", "dylib", "eot", "exe", "gif", "gz", "icns", "ico", "jar", "jpeg", "jpg",
    "mov", "mp3", "mp4", "ogg", "otf", "pdf", "png", "psd", "pyc", "so", "sqlite", "tar", "tgz", "ttf", "wasm", "webm",
    "webp", "woff", "woff2", "zip",
];

fn is_changed_text(file: &ChangedFile) -> bool {
    let ending = file.path.rsplit_once('.').map_or("", |(_, ending)| ending);
    let binary = BINARY_ENDINGS.iter().any(|binary| binary.eq_ignore_ascii_case(ending));
    match file.status {
        FileStatus::Added | FileStatus::Removed | FileStatus::Modified | FileStatus::Changed => !binary,
        FileStatus::Renamed | FileStatus::Copied | FileStatus::Unchanged => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::policy::Service;

    fn file(path: &str, lines: u64) -> ChangedFile {
        ChangedFile {
            path: path.to_owned(),
            previous_path: None,
            status: FileStatus::Modified,
            additions: lines,
            deletions: 0,
        }
    }

    fn changed(paths: &[&str]) -> ChangedFiles {
        ChangedFiles { files: paths.iter().map(|path| file(path, 1)).collect(), cut: false }
    }

    fn policy() -> Policy {
        let service = |name: &str, paths: &[&str]| Service {
            name: ServiceName::new(name),
            paths: paths.iter().map(|path| path.to_string()).collect(),
        };
        Policy {
            services: vec![service("api", &["services/api/**", "libs/**"]), service("web", &["web/"])],
            ..Policy::without_file()
        }
    }

    fn touched(changed: &ChangedFiles) -> Vec<String> {
        touched_services(&policy(), changed).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_change_touches_the_services_whose_paths_it_changes() {
        assert_eq!(touched(&changed(&["services/api/src/main.rs"])), ["api"]);
        assert_eq!(touched(&changed(&["libs/x", "web/deep/y.ts"])), ["api", "web"]);
        assert_eq!(touched(&changed(&["README.md", "services/apis/x", "Web/x"])), [""; 0]);
        assert_eq!(touched(&changed(&[])), [""; 0]);
    }

    #[test]
    fn a_file_that_moves_from_one_service_to_another_touches_both() {
        let mut moved = changed(&["web/x"]);
        moved.files[0].previous_path = Some("libs/x".to_owned());
        assert_eq!(touched(&moved), ["api", "web"]);
    }

    #[test]
    fn a_list_that_was_cut_touches_every_service() {
        assert_eq!(touched(&ChangedFiles { files: vec![], cut: true }), ["api", "web"]);
    }

    #[test]
    fn a_service_without_paths_is_touched_by_every_change() {
        let mut policy = policy();
        policy.services[1].paths.clear();
        assert_eq!(touched_services(&policy, &changed(&["README.md"])), [ServiceName::new("web")]);
    }

    #[test]
    fn a_star_stays_in_its_folder_and_two_cross_folders() {
        let matches = |glob: &str, path: &str| Patterns::new(&[glob.to_owned()]).is_match(path);
        assert!(matches("docs/*.md", "docs/a.md"));
        assert!(!matches("docs/*.md", "docs/a/b.md"));
        assert!(matches("docs/**/*.md", "docs/a/b.md") && matches("docs/**/*.md", "docs/b.md"));
        assert!(matches("**/*.sql", "a/b/c.sql") && matches("**", "x"));
        assert!(matches("{a,b}/x", "b/x") && !matches("a", "a/x"));
        assert!(Patterns::new(&["[".to_owned()]).is_match("anything"), "a broken pattern must not let a rule sleep");
    }

    #[test]
    fn a_pattern_that_cannot_work_says_why() {
        let told: Vec<String> = ["!a", "/a", "./a", "[a", "{a", "a}", "[z-a]", "a\\", "**a"]
            .iter()
            .map(|glob| format!("{glob}: {}", glob_problem(glob).unwrap_or_else(|| "good".to_owned())))
            .collect();
        insta::assert_snapshot!(told.join("\n"), @r#"
        !a: a leading `!` is not supported, list what is meant instead
        /a: paths begin at the top of the repository, without `/` or `./`
        ./a: paths begin at the top of the repository, without `/` or `./`
        [a: unclosed character class; missing ']'
        {a: unclosed alternate group; missing '}' (maybe escape '{' with '[{]'?)
        a}: unopened alternate group; missing '{' (maybe escape '}' with '[}]'?)
        [z-a]: invalid range; 'z' > 'a'
        a\: dangling '\'
        **a: good
        "#);
    }

    #[test]
    fn what_tools_write_is_not_counted() {
        for path in [
            "Cargo.lock",
            "a/vendor/x.go",
            "web/node_modules/y",
            "api/x.pb.go",
            "a/b_generated.ts",
            "t/__snapshots__/x",
            "dist/a.js",
            "x.min.js",
        ] {
            assert!(is_generated(path), "{path}");
        }
        for path in ["src/lock.rs", "vendor.rs", "docs/distance/x", "Cargo.toml", "generated.rs"] {
            assert!(!is_generated(path), "{path}");
        }
        let mut change = changed(&["src/a.rs", "Cargo.lock"]);
        change.files[1].additions = 5_000;
        assert_eq!(counted_lines(&change), Some(1));
    }

    #[test]
    fn lines_that_github_does_not_say_are_unknown_and_not_zero() {
        let zero = ChangedFiles { files: vec![file("src/a.rs", 0), file("src/b.rs", 0)], cut: false };
        assert_eq!(counted_lines(&zero), None);
        assert_eq!(counted_lines(&ChangedFiles { cut: true, ..changed(&["a"]) }), None);
        let image = ChangedFiles { files: vec![file("logo.PNG", 0)], cut: false };
        assert_eq!(counted_lines(&image), Some(0));
        let mut moved = ChangedFiles { files: vec![file("a.rs", 0)], cut: false };
        moved.files[0].status = FileStatus::Renamed;
        assert_eq!(counted_lines(&moved), Some(0));
    }
}
