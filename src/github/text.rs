//! Texts made to fit into what GitHub takes.
//!
//! Knows lengths, in characters as GitHub counts them. Must never know what a text says.

use std::borrow::Cow;

/// Longest `summary` and `text` of a check run, in characters.
pub const CHECK_TEXT_MAX: usize = 65_535;
/// Longest comment, in characters.
pub const COMMENT_MAX: usize = 65_536;

const NOTICE: &str = "\n\n_The rest did not fit and was left out._";

/// Cuts Markdown to at most `chars_max` characters and says so at the end.
///
/// A code block that the cut leaves open is closed, so that the notice and whatever follows is read as Markdown.
pub fn fit(markdown: &str, chars_max: usize) -> Cow<'_, str> {
    // Every character takes at least one byte: short texts need no counting.
    if markdown.len() <= chars_max || markdown.chars().count() <= chars_max {
        return Cow::Borrowed(markdown);
    }
    // Room for the notice and for the end of a code block.
    let room = chars_max.saturating_sub(NOTICE.len() + 4);
    let end = markdown.char_indices().nth(room).map_or(markdown.len(), |(at, _)| at);
    let mut cut = markdown[..end].to_owned();
    let fences = cut.lines().filter(|line| line.trim_start().starts_with("```")).count();
    if fences % 2 == 1 {
        cut.push_str("\n```");
    }
    cut.push_str(NOTICE);
    Cow::Owned(cut)
}

/// Cuts a line to at most `chars_max` characters.
pub fn fit_line(line: &str, chars_max: usize) -> Cow<'_, str> {
    match line.char_indices().nth(chars_max) {
        None => Cow::Borrowed(line),
        Some(_) => {
            let mut cut: String = line.chars().take(chars_max.saturating_sub(1)).collect();
            cut.push('…');
            Cow::Owned(cut)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_too_long_says_so_and_fits_exactly() {
        assert_eq!(fit("short", 10), "short");
        assert_eq!(fit(&"é".repeat(100), 100), "é".repeat(100));
        let long = fit(&"é".repeat(1_000), 100).into_owned();
        assert!(long.chars().count() <= 100 && long.ends_with("left out._"), "{long}");
        insta::assert_snapshot!(fit(&format!("# Log\n```\n{}\n```", "x".repeat(100)), 70), @r"
        # Log
        ```
        xxxxxxxxxxxxxx
        ```

        _The rest did not fit and was left out._
        ");
    }

    #[test]
    fn a_line_is_cut_with_a_sign() {
        assert_eq!(fit_line("12345", 5), "12345");
        assert_eq!(fit_line("123456", 5), "1234…");
    }
}
