//! Foreign words made safe to stand in our Markdown.
//!
//! Knows GitHub's Markdown. Must never know what the words mean.
//!
//! What people wrote (names, titles, reasons) must not become formatting, HTML, a mention that notifies somebody,
//! or a reference that leaves a trace in another issue.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::ids::Login;

/// Stands between `@` and a name, so that it is no mention; it has no width.
const GAP: char = '\u{200b}';

/// `text` as a code span, which shows it letter for letter.
///
/// Line breaks and control characters become spaces, invisible and direction-changing ones `�`. Empty text, which no
/// code span can show, becomes `(empty)`. In a table cell use [`code_in_table`].
pub fn code(text: &str) -> String {
    let text: String = text.chars().map(tame).collect();
    if text.trim().is_empty() {
        return "(empty)".to_owned();
    }
    let fence = "`".repeat(longest_run(&text, '`') + 1);
    let ends = [text.chars().next(), text.chars().next_back()];
    let pad = if ends.iter().any(|c| matches!(c, Some('`' | ' '))) { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// Like [`code`], for a table cell, where a bare `|` would end the cell even inside code.
pub fn code_in_table(text: &str) -> String {
    code(text).replace('|', "\\|")
}

/// Markdown as the content of a table cell: a bare `|` would end the cell, and one that is escaped stays as it is.
pub fn in_table(markdown: &str) -> String {
    let mut out = String::with_capacity(markdown.len());
    let mut escaped = false;
    for c in markdown.chars() {
        if c == '|' && !escaped {
            out.push('\\');
        }
        out.push(c);
        escaped = c == '\\' && !escaped;
    }
    out
}

/// `text` as plain words of one line: no formatting, HTML, mention, reference or link comes of it.
pub fn text(text: &str) -> String {
    let line: Vec<char> = text.trim().chars().map(tame).collect();
    let mut out = String::with_capacity(line.len() + 8);
    let lead = line.iter().take_while(|c| c.is_ascii_digit()).count();
    for (i, &c) in line.iter().enumerate() {
        let before = i.checked_sub(1).and_then(|j| line.get(j)).copied().unwrap_or(' ');
        let after = line.get(i + 1).copied().unwrap_or(' ');
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '$' | '!' => out.extend(['\\', c]),
            '@' => out.extend(['@', GAP]),
            '#' => out.extend(['\\', '#', GAP]),
            '+' | '-' | '=' if i == 0 => out.extend(['\\', c]),
            '.' | ')' if i == lead && lead > 0 && after == ' ' => out.extend(['\\', c]),
            // `https://…`, `www.…`, `GH-12` and `:tada:` turn into something else on GitHub by themselves.
            ':' if after == '/' || after.is_ascii_alphanumeric() => out.extend([':', GAP]),
            '.' if before.eq_ignore_ascii_case(&'w') => out.extend(['.', GAP]),
            '-' if before.eq_ignore_ascii_case(&'h') && after.is_ascii_digit() => out.extend(['-', GAP]),
            ' ' if before == ' ' => {}
            other => out.push(other),
        }
    }
    out
}

/// Speaks to an account by name, when the name is one that GitHub gives.
pub fn mention(login: &Login) -> String {
    let plain = login.as_str().bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if plain { format!("@{login}") } else { text(login.as_str()) }
}

/// The first `chars` characters of `text`, the last of them `…` when there were more. Zero gives nothing.
pub fn clip(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        None => text.to_owned(),
        Some(_) => text.chars().take(chars.saturating_sub(1)).chain((chars > 0).then_some('…')).collect(),
    }
}

/// Whether a character takes no room or changes the direction of writing, so that a text reads other than it is.
pub fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Whether somebody wrote words of their own: headings, checklists and HTML comments, which templates bring, are none.
pub fn says_something(markdown: &str) -> bool {
    let options = Options::ENABLE_TABLES | Options::ENABLE_TASKLISTS | Options::ENABLE_STRIKETHROUGH;
    let (mut heading, mut task, mut html) = (false, false, String::new());
    for event in Parser::new_ext(markdown, options) {
        match event {
            Event::Start(Tag::Heading { .. }) => heading = true,
            Event::End(TagEnd::Heading(_)) => heading = false,
            Event::TaskListMarker(_) => task = true,
            Event::End(TagEnd::Item) => task = false,
            Event::Html(part) | Event::InlineHtml(part) => html.push_str(&part),
            Event::Text(part) | Event::Code(part) if !heading && !task && part.contains(char::is_alphanumeric) => {
                return true;
            }
            Event::Start(Tag::Image { .. }) => return true,
            _ => {}
        }
    }
    outside_tags(&html).contains(char::is_alphanumeric)
}

/// The words that a reader sees, a string for each line, without code, HTML and comments. Nothing is escaped.
pub fn prose(markdown: &str) -> Vec<String> {
    let options = Options::ENABLE_TABLES | Options::ENABLE_TASKLISTS | Options::ENABLE_STRIKETHROUGH;
    let mut lines = vec![String::new()];
    let mut code = false;
    for event in Parser::new_ext(markdown, options) {
        match event {
            Event::Start(Tag::CodeBlock(_)) => code = true,
            Event::End(TagEnd::CodeBlock) => code = false,
            Event::Text(part) if !code => {
                if let Some(line) = lines.last_mut() {
                    line.push_str(&part);
                }
            }
            // Code between two words keeps them apart.
            Event::Code(_) => {
                if let Some(line) = lines.last_mut() {
                    line.push('\u{fffd}');
                }
            }
            Event::SoftBreak
            | Event::HardBreak
            | Event::End(TagEnd::Paragraph | TagEnd::Heading(_) | TagEnd::Item | TagEnd::TableCell)
            | Event::Start(Tag::List(_)) => lines.push(String::new()),
            _ => {}
        }
    }
    lines.retain(|line| !line.trim().is_empty());
    lines
}

/// HTML without its tags and comments.
fn outside_tags(html: &str) -> String {
    let mut pieces = html.split("<!--");
    let before = pieces.next().unwrap_or_default();
    let behind = pieces.filter_map(|piece| piece.split_once("-->").map(|(_, behind)| behind));
    let text: String = std::iter::once(before).chain(behind).collect();
    text.split('<')
        .enumerate()
        .map(|(i, piece)| if i == 0 { piece } else { piece.split_once('>').map_or("", |(_, t)| t) })
        .collect()
}

fn tame(c: char) -> char {
    match c {
        '\u{2028}' | '\u{2029}' => ' ',
        c if c.is_control() => ' ',
        c if is_invisible(c) => '\u{fffd}',
        c => c,
    }
}

fn longest_run(text: &str, of: char) -> usize {
    text.split(|c| c != of).map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_code_span_shows_backticks_and_hides_line_breaks() {
        assert_eq!(code("main"), "`main`");
        assert_eq!(code("a`b"), "``a`b``");
        assert_eq!(code("`"), "`` ` ``");
        assert_eq!(code("a\nb\u{202e}c"), "`a b\u{fffd}c`");
        assert_eq!(code(" \n"), "(empty)");
        assert_eq!(code_in_table("a|b"), "`a\\|b`");
    }

    #[test]
    fn foreign_words_notify_nobody_and_link_nowhere() {
        assert_eq!(text("@ada fixes #12 & <b>"), "@\u{200b}ada fixes \\#\u{200b}12 &amp; &lt;b&gt;");
        assert_eq!(text("see https://x.example"), "see https:\u{200b}//x.example");
        assert_eq!(text("www.x.example"), "www.\u{200b}x.example");
        assert_eq!(text("1. one\n- two"), "1\\. one - two");
        assert_eq!(text("feat(api)!: *go*"), "feat(api)\\!: \\*go\\*");
    }

    #[test]
    fn a_clipped_text_never_grows_past_its_bound() {
        assert_eq!(clip("grün", 4), "grün");
        assert_eq!(clip("grüner", 4), "grü…");
        assert_eq!(clip("a", 0), "");
    }

    #[test]
    fn what_a_template_brings_is_no_description() {
        for body in [
            "",
            " \n",
            "<!-- say why -->",
            "<!--\nsay\n\nwhy -->\n## Why\n",
            "## What\n- [ ] tested\n- [x] docs",
            "---",
            "<br>",
        ] {
            assert!(!says_something(body), "{body}");
        }
        for body in [
            "Because.",
            "<!-- x -->\nBecause",
            "## Why\nBecause",
            "- one",
            "<p>Because</p>",
            "![](x.png)",
            "`x`",
            "理由",
        ] {
            assert!(says_something(body), "{body}");
        }
    }

    /// As GitHub reads Markdown, and more: it has no typographic quotation marks or dashes.
    const OPTIONS: Options = Options::all().difference(Options::ENABLE_SMART_PUNCTUATION);

    /// What a reader sees of one paragraph; `None` when there is anything but plain words in it.
    fn seen(markdown: &str) -> Option<String> {
        let mut out = String::new();
        for event in Parser::new_ext(markdown, OPTIONS) {
            match event {
                Event::Text(part) => out.push_str(&part),
                Event::Start(Tag::Paragraph) | Event::End(TagEnd::Paragraph) => {}
                _ => return None,
            }
        }
        Some(out)
    }

    proptest! {
        #[test]
        fn foreign_words_stay_words(words in "[-a-c0-9@#.:/\\\\*_`~!|<>&$()\\[\\]{}=+ \n]{0,40}") {
            let shown = seen(&format!("Title: {}", text(&words))).expect("plain words");
            let squeeze = |s: &str| s.replace(GAP, "").split_whitespace().collect::<Vec<_>>().join(" ");
            prop_assert_eq!(squeeze(&shown), squeeze(&format!("Title: {words}")));
        }

        #[test]
        fn a_code_span_is_one_code_span(words in "[a-c`|*<\n ]{0,20}") {
            let markdown = code(&words);
            let events: Vec<_> = Parser::new_ext(&markdown, OPTIONS).collect();
            if !words.trim().is_empty() {
                let tame: String = words.chars().map(tame).collect();
                prop_assert!(matches!(&events[..], [_, Event::Code(shown), _] if **shown == *tame), "{:?}", events);
            }
        }
    }
}
