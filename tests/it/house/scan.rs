//! Reads Rust as text, far enough to see which paths a file names.
//!
//! Knows comments, literals, `use` trees, inline modules and `#[cfg(test)]`. Expands no macro and knows no types: a
//! path that a macro puts together is not seen.

/// One word or sign, with the line it stands on (from 1).
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    pub text: String,
    pub line: usize,
}

/// A path as written, resolved as far as text allows, with the line of its first word.
#[derive(Clone, Debug, PartialEq)]
pub struct Path {
    /// Absolute inside the package when it begins with `crate`; else it begins with a crate's name or any local name.
    pub segments: Vec<String>,
    pub line: usize,
}

/// A file's tokens without comments, literals and what is only compiled for tests.
pub struct Scan {
    pub tokens: Vec<Token>,
    /// Modules that are declared in files of their own and only compiled for tests.
    pub test_modules: Vec<String>,
    /// The same, where the file is named by `#[path]`.
    pub test_files: Vec<String>,
}

impl Scan {
    /// Reads a file's text. Never fails: what is not Rust gives tokens that mean nothing.
    pub fn of(text: &str) -> Self {
        Self { test_files: test_files(text), ..without_tests(tokens(&blanked(text))) }
    }

    /// Every path of at least two segments and every name that is imported. `module` is the file's own, from the root of
    /// the package: `["github", "wire"]`.
    pub fn paths(&self, module: &[String]) -> Vec<Path> {
        let mut found = Vec::new();
        // Inline modules that are open, each with the depth of its opening brace.
        let mut inline: Vec<(String, usize)> = Vec::new();
        let mut depth = 0;
        let mut at = 0;
        while at < self.tokens.len() {
            let word = |ahead: usize| self.tokens.get(at + ahead).map_or("", |token| token.text.as_str());
            let here = || module.iter().cloned().chain(inline.iter().map(|(name, _)| name.clone())).collect::<Vec<_>>();
            match word(0) {
                "{" => depth += 1,
                "}" => {
                    depth = usize::saturating_sub(depth, 1);
                    inline.retain(|(_, opened)| *opened < depth + 1);
                }
                "mod" if is_name(word(1)) && word(2) == "{" => {
                    inline.push((word(1).to_owned(), depth + 1));
                    depth += 1;
                    at += 2;
                }
                "use" => {
                    let (leaves, next) = self.use_tree(at + 1, &[]);
                    let here = here();
                    found.extend(leaves.into_iter().map(|leaf| resolved(leaf, &here)));
                    at = next;
                    continue;
                }
                first if is_name(first) && word(1) == "::" => {
                    // A method on what stands before (`x.y::<T>()`) or the middle of a path begins no path.
                    let before = at.checked_sub(1).map_or("", |previous| self.tokens[previous].text.as_str());
                    let mut path = Path { segments: vec![first.to_owned()], line: self.tokens[at].line };
                    let mut next = at;
                    while self.text(next + 1) == "::" && is_name(self.text(next + 2)) {
                        path.segments.push(self.text(next + 2).to_owned());
                        next += 2;
                    }
                    if before != "." {
                        found.push(resolved(path, &here()));
                    }
                    at = next;
                }
                _ => {}
            }
            at += 1;
        }
        found
    }

    /// Lines on which these words follow each other.
    pub fn lines_with(&self, words: &[&str]) -> Vec<usize> {
        self.tokens
            .windows(words.len())
            .filter(|window| window.iter().zip(words).all(|(token, word)| token.text == *word))
            .map(|window| window[0].line)
            .collect()
    }

    fn text(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |token| token.text.as_str())
    }

    /// Leaves of the tree that begins at `at`, and where the tree ends.
    fn use_tree(&self, mut at: usize, prefix: &[String]) -> (Vec<Path>, usize) {
        let mut segments = prefix.to_vec();
        let line = self.tokens.get(at).map_or(0, |token| token.line);
        loop {
            match self.text(at) {
                "{" => {
                    let mut leaves = Vec::new();
                    at += 1;
                    while !matches!(self.text(at), "}" | "") {
                        let (inner, next) = self.use_tree(at, &segments);
                        leaves.extend(inner);
                        at = if self.text(next) == "," { next + 1 } else { next };
                    }
                    return (leaves, at + 1);
                }
                "::" | "$" => at += 1,
                "as" => at += 2,
                "*" => at += 1,
                name if is_name(name) => {
                    segments.push(name.to_owned());
                    at += 1;
                }
                _ => break,
            }
        }
        if segments.len() > prefix.len() && segments.last().is_some_and(|last| last == "self") {
            segments.pop();
        }
        (vec![Path { segments, line }], at)
    }
}

/// Turns `crate`, `self` and `super` at a path's head into the absolute way.
fn resolved(path: Path, here: &[String]) -> Path {
    let absolute = |inside: &[String], rest: &[String]| {
        std::iter::once("crate".to_owned()).chain(inside.iter().cloned()).chain(rest.iter().cloned()).collect()
    };
    let segments = match path.segments.first().map(String::as_str) {
        Some("self") => absolute(here, &path.segments[1..]),
        Some("super") => {
            let ups = path.segments.iter().take_while(|segment| *segment == "super").count();
            absolute(&here[..here.len().saturating_sub(ups)], &path.segments[ups..])
        }
        // The binary and the tests see the package under its name.
        Some("plimsoll") => absolute(&[], &path.segments[1..]),
        _ => path.segments,
    };
    Path { segments, line: path.line }
}

/// The text with comments and literals turned to blanks; line breaks stay, so that lines keep their numbers.
pub fn blanked(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    let blank = |out: &mut String, range: &[char]| {
        out.extend(range.iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
    };
    while at < chars.len() {
        let end = literal_end(&chars, at);
        if end > at {
            blank(&mut out, &chars[at..end]);
            at = end;
        } else {
            out.push(chars[at]);
            at += 1;
        }
    }
    out
}

/// Where the comment or literal that begins at `at` ends; `at` when none begins there.
fn literal_end(chars: &[char], at: usize) -> usize {
    let has = |from: usize, text: &str| text.chars().enumerate().all(|(n, c)| chars.get(from + n) == Some(&c));
    let word_before = at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_');
    if has(at, "//") {
        return (at..chars.len()).find(|n| chars[*n] == '\n').unwrap_or(chars.len());
    }
    if has(at, "/*") {
        let (mut depth, mut n) = (0, at);
        while n < chars.len() {
            if has(n, "/*") {
                (depth, n) = (depth + 1, n + 2);
            } else if has(n, "*/") {
                (depth, n) = (depth - 1, n + 2);
                if depth == 0 {
                    return n;
                }
            } else {
                n += 1;
            }
        }
        return n;
    }
    if !word_before && let Some(end) = raw_string_end(chars, at) {
        return end;
    }
    if chars[at] == '"' {
        return quoted_end(chars, at, '"');
    }
    // A quote followed by one character and a quote is a character, else a lifetime.
    if chars[at] == '\'' && (chars.get(at + 1) == Some(&'\\') || chars.get(at + 2) == Some(&'\'')) {
        return quoted_end(chars, at, '\'');
    }
    at
}

fn quoted_end(chars: &[char], at: usize, quote: char) -> usize {
    let mut n = at + 1;
    while n < chars.len() && chars[n] != quote {
        n += if chars[n] == '\\' { 2 } else { 1 };
    }
    (n + 1).min(chars.len())
}

/// End of `r"..."`, `br#"..."#` and the like.
fn raw_string_end(chars: &[char], at: usize) -> Option<usize> {
    let mut n = at;
    if matches!(chars.get(n), Some('b' | 'c')) {
        n += 1;
    }
    if chars.get(n) != Some(&'r') {
        return None;
    }
    n += 1;
    let hashes = chars[n..].iter().take_while(|c| **c == '#').count();
    n += hashes;
    if chars.get(n) != Some(&'"') {
        return None;
    }
    let close = |from: usize| {
        chars[from] == '"' && chars[from + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes
    };
    let end = (n + 1..chars.len()).find(|from| close(*from))?;
    Some(end + 1 + hashes)
}

fn tokens(text: &str) -> Vec<Token> {
    let mut found = Vec::new();
    for (line, row) in text.lines().enumerate() {
        let mut rest = row.trim_start();
        while let Some(first) = rest.chars().next() {
            let length = if first.is_alphanumeric() || first == '_' {
                rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())
            } else if rest.starts_with("::") {
                2
            } else {
                first.len_utf8()
            };
            found.push(Token { text: rest[..length].to_owned(), line: line + 1 });
            rest = rest[length..].trim_start();
        }
    }
    found
}

/// Takes out every item under `#[cfg(test)]`.
fn without_tests(tokens: Vec<Token>) -> Scan {
    let mut kept = Vec::new();
    let mut test_modules = Vec::new();
    let mut at = 0;
    let text = |at: usize| tokens.get(at).map_or("", |token: &Token| token.text.as_str());
    while at < tokens.len() {
        let attribute: String = (at..at + 7).map(text).collect();
        if attribute != "#[cfg(test)]" {
            kept.push(tokens[at].clone());
            at += 1;
            continue;
        }
        at += 7;
        // Up to the item's closing brace, or its semicolon when it has no body.
        let mut depth = 0;
        while at < tokens.len() {
            match text(at) {
                "mod" if depth == 0 && text(at + 2) == ";" => test_modules.push(text(at + 1).to_owned()),
                "{" | "(" | "[" => depth += 1,
                "}" | ")" | "]" => depth -= 1,
                _ => {}
            }
            let ended = depth == 0 && matches!(text(at), "}" | ";");
            at += 1;
            if ended {
                break;
            }
        }
    }
    Scan { tokens: kept, test_modules, test_files: Vec::new() }
}

/// Files named by a `#[path]` that follows a `#[cfg(test)]`.
fn test_files(text: &str) -> Vec<String> {
    let rows: Vec<_> = text.lines().map(str::trim).collect();
    let pairs = rows.windows(2).filter(|pair| pair[0] == "#[cfg(test)]");
    let files = pairs.filter_map(|pair| pair[1].strip_prefix("#[path = \"")?.strip_suffix("\"]").map(str::to_owned));
    files.collect()
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}
