//! Which files people wrote: what tools write and what was copied is left out.
//!
//! Knows the project's own list of such paths and GitHub's `linguist-*` attributes. Must never look into a file, other
//! than `.gitattributes`.
//!
//! The attributes are those of the newest tree, not of the tree at each change: what is generated today was generated
//! then, as a rule, even where nobody had said so yet.

use super::error::HistoryError;
use super::mine::Taken;
use super::repo::Repo;
use crate::domain::policy::paths::is_generated;
use gix_hash::ObjectId;
use globset::{GlobBuilder, GlobMatcher};

/// The rules of one repository.
#[derive(Default)]
pub(super) struct Attributes {
    /// In the order of the files, the top one first; within one file as it stands. The last that fits holds.
    rules: Vec<Rule>,
}

struct Rule {
    /// Folder of the file that has the rule, with its `/`; empty at the top.
    below: String,
    /// Whether only the last part of a path is compared.
    name_only: bool,
    pattern: GlobMatcher,
    sets: Vec<(Attribute, bool)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attribute {
    Generated,
    Vendored,
    Documentation,
}

/// Folders that are looked into for further `.gitattributes`.
const FOLDERS_MAX: usize = 2_000;
/// Git itself refuses larger ones.
const BYTES_MAX: usize = 1 << 20;

impl Attributes {
    /// Name of the files that hold them.
    pub const NAME: &str = ".gitattributes";

    /// Reads the attributes of a tree from the files that it may have.
    pub fn read_known<'p>(
        repo: &Repo,
        tree: ObjectId,
        paths: impl Iterator<Item = &'p [u8]>,
    ) -> Result<Self, HistoryError> {
        let mut paths: Vec<&[u8]> = paths.collect();
        paths.sort_by_key(|path| (path.iter().filter(|byte| **byte == b'/').count(), *path));
        let mut attributes = Self::default();
        let mut bytes = Vec::new();
        for path in paths {
            if let Some(id) = repo.find_in(tree, path)?
                && repo.blob(id, &mut bytes)?
                && bytes.len() <= BYTES_MAX
            {
                let folder = String::from_utf8_lossy(&path[..path.len() - Self::NAME.len()]);
                attributes.add(&folder, &String::from_utf8_lossy(&bytes));
            }
        }
        Ok(attributes)
    }

    /// Whether any path may be called documentation.
    pub fn say_documentation(&self) -> bool {
        self.rules.iter().any(|rule| rule.sets.iter().any(|(attribute, _)| *attribute == Attribute::Documentation))
    }

    /// Reads the attributes of a tree: those at the top, and those of the folders.
    pub fn read(repo: &Repo, tree: ObjectId) -> Result<Self, HistoryError> {
        let mut files = Vec::new();
        let mut folders = std::collections::VecDeque::from([(String::new(), tree)]);
        let mut looked = 0;
        let mut bytes = Vec::new();
        while let Some((folder, tree)) = folders.pop_front() {
            looked += 1;
            if looked > FOLDERS_MAX {
                break;
            }
            repo.tree(tree, &mut bytes)?;
            for entry in gix_object::TreeRefIter::from_bytes(&bytes, gix_hash::Kind::Sha1) {
                let entry = entry.map_err(|_| HistoryError::damaged(format!("tree {tree} cannot be read")))?;
                let name = String::from_utf8_lossy(entry.filename);
                if entry.mode.is_tree() {
                    folders.push_back((format!("{folder}{name}/"), entry.oid.to_owned()));
                } else if entry.filename == Self::NAME {
                    files.push((folder.clone(), entry.oid.to_owned()));
                }
            }
        }
        let mut attributes = Self::default();
        for (folder, id) in files {
            if repo.blob(id, &mut bytes)? && bytes.len() <= BYTES_MAX {
                attributes.add(&folder, &String::from_utf8_lossy(&bytes));
            }
        }
        Ok(attributes)
    }

    /// Reads one file's rules; lines that say nothing of linguist, and macros, are passed over.
    fn add(&mut self, folder: &str, text: &str) {
        for line in text.lines().map(str::trim).filter(|line| line.contains("linguist-")) {
            let (pattern, rest) = match line.strip_prefix('"').and_then(|quoted| quoted.split_once('"')) {
                Some((pattern, rest)) => (pattern, rest),
                None => line.split_once(char::is_whitespace).unwrap_or((line, "")),
            };
            let sets: Vec<_> = rest.split_whitespace().filter_map(setting).collect();
            if pattern.is_empty() || pattern.starts_with(['#', '[', '!']) || sets.is_empty() {
                continue;
            }
            let anchored = pattern.trim_start_matches('/');
            let name_only = !pattern.contains('/');
            let built = GlobBuilder::new(anchored).literal_separator(true).backslash_escape(true).build();
            if let Ok(pattern) = built {
                self.rules.push(Rule { below: folder.to_owned(), name_only, pattern: pattern.compile_matcher(), sets });
            }
        }
    }

    fn holds(&self, path: &str, wanted: Attribute) -> Option<bool> {
        self.rules.iter().rev().find_map(|rule| {
            let inside = path.strip_prefix(rule.below.as_str())?;
            let compared = if rule.name_only { inside.rsplit('/').next().unwrap_or(inside) } else { inside };
            let (_, set) = rule.sets.iter().rev().find(|(attribute, _)| *attribute == wanted)?;
            rule.pattern.is_match(compared).then_some(*set)
        })
    }

    /// Whether the repository says that a path is documentation.
    pub fn is_documentation(&self, path: &[u8]) -> bool {
        !self.rules.is_empty() && self.holds(&String::from_utf8_lossy(path), Attribute::Documentation) == Some(true)
    }
}

impl Taken for Attributes {
    /// What the repository says of itself goes before what the path looks like.
    fn takes(&mut self, path: &[u8]) -> bool {
        let path = String::from_utf8_lossy(path);
        let said = [Attribute::Generated, Attribute::Vendored].map(|attribute| self.holds(&path, attribute));
        match said {
            [Some(true), _] | [_, Some(true)] => false,
            [Some(false), _] | [_, Some(false)] => true,
            [None, None] => !is_generated(&path),
        }
    }
}

/// `linguist-generated`, `linguist-generated=true`, `-linguist-generated`, `linguist-generated=false`.
fn setting(word: &str) -> Option<(Attribute, bool)> {
    let (name, set) = match word.strip_prefix('-') {
        Some(name) => (name, false),
        None => word.split_once('=').map_or((word, true), |(name, value)| (name, value != "false")),
    };
    let attribute = match name {
        "linguist-generated" => Attribute::Generated,
        "linguist-vendored" => Attribute::Vendored,
        "linguist-documentation" => Attribute::Documentation,
        _ => return None,
    };
    Some((attribute, set))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(files: &[(&str, &str)]) -> Attributes {
        let mut attributes = Attributes::default();
        files.iter().for_each(|(folder, text)| attributes.add(folder, text));
        attributes
    }

    #[test]
    fn what_the_repository_says_goes_before_what_a_path_looks_like() {
        let mut said = rules(&[(
            "",
            "# linguist-generated\n*.gen.ts linguist-generated\n/vendor/own/** -linguist-vendored\n\
             \"a b/*\" linguist-vendored=true eol=lf\nsrc/old.rs linguist-generated=false text\n",
        )]);
        let mut takes = |path: &str| said.takes(path.as_bytes());
        assert!(!takes("web/api.gen.ts") && !takes("a b/x"));
        assert!(takes("vendor/own/x.go") && takes("src/old.rs") && takes("src/new.rs"));
        assert!(!takes("vendor/other/x.go") && !takes("Cargo.lock"));
        assert!(takes("a b/c/x"), "a star stays in its folder");
    }

    #[test]
    fn a_folders_own_rules_go_before_those_above() {
        let mut said = rules(&[("", "*.js linguist-generated"), ("web/", "main.js -linguist-generated")]);
        assert!(said.takes(b"web/main.js") && said.takes(b"web/deep/main.js"));
        assert!(!said.takes(b"main.js") && !said.takes(b"web/other.js"));
    }

    #[test]
    fn documentation_is_prose_and_not_left_out() {
        let mut said = rules(&[("", "guide/** linguist-documentation")]);
        assert!(said.is_documentation(b"guide/a.rs") && !said.is_documentation(b"src/a.rs"));
        assert!(said.takes(b"guide/a.rs"));
    }
}
