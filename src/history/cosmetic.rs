//! Which lines say something: not blank, not only a comment, and not the same but for white space.
//!
//! Knows how languages mark comments, by the ending of a file's name. Must never parse a language: a string that looks
//! like a comment is taken for one.

/// How a language marks comments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comments {
    /// `//` and `/* */`.
    Slashes,
    Hash,
    Dashes,
    Semicolon,
    /// `<!-- -->`.
    Angle,
    Percent,
    None,
}

impl Comments {
    pub fn of(path: &[u8]) -> Self {
        let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
        let ending = name.rsplit(|byte| *byte == b'.').next().unwrap_or(name).to_ascii_lowercase();
        match &ending[..] {
            b"c" | b"cc" | b"cpp" | b"cs" | b"css" | b"cxx" | b"dart" | b"go" | b"gradle" | b"groovy" | b"h"
            | b"hh" | b"hpp" | b"hxx" | b"java" | b"js" | b"jsx" | b"kt" | b"kts" | b"less" | b"m" | b"mjs" | b"mm"
            | b"php" | b"proto" | b"rs" | b"sass" | b"scala" | b"scss" | b"swift" | b"ts" | b"tsx" | b"zig" => {
                Self::Slashes
            }
            b"bash" | b"cfg" | b"cmake" | b"conf" | b"ex" | b"exs" | b"jl" | b"makefile" | b"dockerfile" | b"pl"
            | b"pm" | b"properties" | b"py" | b"pyx" | b"r" | b"rb" | b"sh" | b"tf" | b"toml" | b"yaml" | b"yml" => {
                Self::Hash
            }
            b"hs" | b"lua" | b"sql" | b"elm" | b"vhdl" => Self::Dashes,
            b"asm" | b"clj" | b"el" | b"ini" | b"lisp" | b"scm" => Self::Semicolon,
            b"htm" | b"html" | b"md" | b"svg" | b"vue" | b"xml" => Self::Angle,
            b"erl" | b"tex" => Self::Percent,
            _ => Self::None,
        }
    }

    fn line(self) -> Option<&'static [u8]> {
        match self {
            Self::Slashes => Some(b"//"),
            Self::Hash => Some(b"#"),
            Self::Dashes => Some(b"--"),
            Self::Semicolon => Some(b";"),
            Self::Percent => Some(b"%"),
            Self::Angle | Self::None => None,
        }
    }

    fn block(self) -> Option<(&'static [u8], &'static [u8])> {
        match self {
            Self::Slashes => Some((b"/*", b"*/")),
            Self::Angle => Some((b"<!--", b"-->")),
            Self::Hash | Self::Dashes | Self::Semicolon | Self::Percent | Self::None => None,
        }
    }
}

/// Reads lines of a text from its beginning to its end, a part at a time.
pub(super) struct Sayer<'b> {
    bytes: &'b [u8],
    comments: Comments,
    /// The line that comes next, and where it begins.
    line: u32,
    start: usize,
}

/// Bytes before a part in which the beginning of a comment is looked for.
const LOOK_BACK_BYTES: usize = 4_096;

impl<'b> Sayer<'b> {
    pub fn new(bytes: &'b [u8], comments: Comments) -> Self {
        Self { bytes, comments, line: 0, start: 0 }
    }

    /// A number for each line from `first` on, `count` of them: 0 when it says nothing, else a hash of what it says
    /// without its white space. Parts are asked for in order.
    pub fn saying(&mut self, first: u32, count: u32) -> Vec<u32> {
        if let Some(skip) = first.checked_sub(self.line + 1) {
            let mut ends = memchr::memchr_iter(b'\n', &self.bytes[self.start..]);
            self.start = ends.nth(skip as usize).map_or(self.bytes.len(), |end| self.start + end + 1);
            self.line = first;
        }
        let (before, rest) = self.bytes.split_at(self.start);
        let before = &before[before.len().saturating_sub(LOOK_BACK_BYTES)..];
        let mut inside = count > 0 && self.comments.block().is_some_and(|block| ends_inside(before, block));
        let mut found = Vec::with_capacity(count as usize);
        for line in rest.split_inclusive(|byte| *byte == b'\n').take(count as usize) {
            found.push(says(line, self.comments, &mut inside));
            self.start += line.len();
            self.line += 1;
        }
        found
    }
}

/// Whether a comment that began in these bytes is still open at their end.
fn ends_inside(bytes: &[u8], (open, close): (&[u8], &[u8])) -> bool {
    match memchr::memmem::rfind(bytes, open) {
        None => false,
        Some(opened) => memchr::memmem::find(&bytes[opened + open.len()..], close).is_none(),
    }
}

fn says(line: &[u8], comments: Comments, inside: &mut bool) -> u32 {
    let text = line.trim_ascii();
    if let Some((open, close)) = comments.block() {
        let end = |from: usize| memchr::memmem::find(&text[from..], close).map(|at| from + at + close.len());
        let opens = text.starts_with(open);
        if *inside || opens {
            let closed = end(if *inside { 0 } else { open.len() });
            *inside = closed.is_none();
            if closed.is_none_or(|end| text[end..].trim_ascii().is_empty()) {
                return 0;
            }
        }
    }
    if text.is_empty() || comments.line().is_some_and(|mark| text.starts_with(mark)) {
        return 0;
    }
    let mut hash = 0x811c_9dc5u32;
    for byte in text.iter().filter(|byte| !byte.is_ascii_whitespace()) {
        hash = (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
    }
    hash.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn silent(path: &str, text: &str) -> Vec<bool> {
        Sayer::new(text.as_bytes(), Comments::of(path.as_bytes()))
            .saying(0, 100)
            .iter()
            .map(|line| *line == 0)
            .collect()
    }

    #[test]
    fn blank_lines_and_comments_say_nothing() {
        assert_eq!(
            silent("a.rs", "\n  // x\nlet x = 1; // y\n/* a\n b\n */\ny /* z */\n"),
            [true, true, false, true, true, true, false]
        );
        assert_eq!(silent("a.py", "# x\nx = 1\n#\n"), [true, false, true]);
        assert_eq!(silent("a.html", "<!-- a\nb --> <p>\n<!-- c -->\n"), [true, false, true]);
        assert_eq!(silent("Makefile", "# x\nx:"), [true, false]);
        assert_eq!(silent("a.txt", "# x\n"), [false]);
        assert_eq!(silent("a.c", ""), [false; 0]);
    }

    #[test]
    fn white_space_does_not_change_what_a_line_says() {
        let of = |text: &str| Sayer::new(text.as_bytes(), Comments::Slashes).saying(0, 9);
        assert_eq!(of("  if (a)  {\n"), of("if(a){\r"));
        assert_ne!(of("if (a) {\n"), of("if (b) {\n"));
    }

    #[test]
    fn a_comment_that_began_before_is_known() {
        let text = b"/* a\n b\n */\nx\n/* c */ y\nz\n";
        let mut sayer = Sayer::new(text, Comments::Slashes);
        let mut of = |first, count| sayer.saying(first, count).iter().map(|line| *line == 0).collect::<Vec<_>>();
        assert_eq!(of(1, 1), [true]);
        assert_eq!(of(2, 2), [true, false]);
        assert_eq!(of(5, 9), [false]);
        assert_eq!(of(9, 1), [false; 0]);
    }
}
