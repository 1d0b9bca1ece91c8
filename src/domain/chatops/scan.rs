//! Finds the lines of a comment that are commands.
//!
//! Knows Markdown as GitHub shows it. Must never know a verb.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use std::ops::Range;

/// What a command line starts with, in any case.
const CALLS: [&str; 2] = ["/plimsoll", "@plimsoll"];

/// Bytes of a comment that are looked at: GitHub's 65,536 characters at their widest.
const BODY_BYTES_MAX: usize = 4 * 65_536;

/// HTML elements that are followed at once.
const ELEMENTS_OPEN_MAX: usize = 256;

/// HTML elements whose content is set apart though Markdown inside them is read as usual.
/// Those whose end tag may be left out (`p`, `li`) or which have none are not among them.
const ELEMENTS: [&str; 22] = [
    "details",
    "summary",
    "blockquote",
    "div",
    "table",
    "pre",
    "code",
    "ul",
    "ol",
    "del",
    "s",
    "strike",
    "sub",
    "sup",
    "a",
    "b",
    "em",
    "i",
    "kbd",
    "samp",
    "span",
    "template",
];

/// A line that is meant as a command.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum CommandLine<'a> {
    /// The words after `/plimsoll`.
    Plain(&'a str),
    /// It holds code, a link or HTML, so that what was meant is not certain.
    Formatted,
}

/// The lines that are commands, in order.
pub(super) fn command_lines(body: &str) -> Vec<CommandLine<'_>> {
    let body = &body[..body.floor_char_boundary(BODY_BYTES_MAX)];
    // Nearly all comments end here, before any Markdown is read.
    if !body.as_bytes().windows(8).any(|w| w.eq_ignore_ascii_case(b"plimsoll")) {
        return Vec::new();
    }
    let mut scan = Scan { body, ..Scan::default() };
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_MATH
        | Options::ENABLE_GFM;
    for (event, range) in Parser::new_ext(body, options).into_offset_iter() {
        scan.take(event, range);
    }
    scan.found
}

/// Where the reading stands.
#[derive(Default)]
struct Scan<'a> {
    body: &'a str,
    /// Blocks around this place that are not a paragraph: quotes, lists, tables, headings, code.
    blocks: usize,
    /// Inline formatting around this place, inside a paragraph.
    inlines: usize,
    /// What was read of the present HTML block, which comes in pieces.
    html: String,
    /// HTML elements open at this place, outermost first.
    elements: Vec<&'static str>,
    line: Option<Line>,
    found: Vec<CommandLine<'a>>,
}

/// A line of a plain paragraph.
struct Line {
    start: usize,
    /// Nothing was open when it began.
    free: bool,
    formatted: bool,
}

impl<'a> Scan<'a> {
    fn take(&mut self, event: Event<'_>, range: Range<usize>) {
        match event {
            Event::Start(Tag::Paragraph) => self.begin(range.start),
            Event::End(TagEnd::Paragraph) => self.end(range.end),
            Event::Start(tag) if is_inline(&tag) => {
                self.inlines += 1;
                if matches!(tag, Tag::Link { .. } | Tag::Image { .. }) {
                    self.mark();
                }
            }
            Event::End(TagEnd::Emphasis | TagEnd::Strong | TagEnd::Strikethrough | TagEnd::Link | TagEnd::Image)
            | Event::End(TagEnd::Superscript | TagEnd::Subscript) => self.inlines = self.inlines.saturating_sub(1),
            Event::End(TagEnd::HtmlBlock) => {
                let html = std::mem::take(&mut self.html);
                self.follow(&html);
            }
            Event::Start(Tag::HtmlBlock) => {}
            Event::Start(_) => self.blocks += 1,
            Event::End(_) => self.blocks = self.blocks.saturating_sub(1),
            Event::SoftBreak | Event::HardBreak => {
                self.end(range.start);
                self.begin(range.end);
            }
            Event::Html(part) => self.html.push_str(&part),
            Event::InlineHtml(html) => {
                self.mark();
                self.follow(&html);
            }
            Event::Code(_) | Event::FootnoteReference(_) => self.mark(),
            Event::InlineMath(_) | Event::DisplayMath(_) if self.body[range.clone()].contains('\n') => self.mark(),
            Event::InlineMath(_) | Event::DisplayMath(_) | Event::Text(_) | Event::Rule | Event::TaskListMarker(_) => {}
        }
    }

    fn begin(&mut self, start: usize) {
        let free = self.blocks == 0 && self.inlines == 0 && self.elements.is_empty();
        self.line = Some(Line { start, free, formatted: false });
    }

    fn mark(&mut self) {
        if let Some(line) = &mut self.line {
            line.formatted = true;
        }
    }

    fn end(&mut self, end: usize) {
        let Some(line) = self.line.take() else { return };
        let Some(text) = self.body.get(line.start..end).filter(|_| line.free) else { return };
        let Some(words) = call(text.trim()) else { return };
        let plain = !line.formatted && !words.contains('\n');
        self.found.push(if plain { CommandLine::Plain(words) } else { CommandLine::Formatted });
    }

    /// Follows which elements are open. A comment or an unknown tag changes nothing.
    fn follow(&mut self, html: &str) {
        let mut pieces = html.split("<!--");
        let before = pieces.next().unwrap_or_default();
        let behind = pieces.filter_map(|piece| piece.split_once("-->").map(|(_, behind)| behind));
        for tag in std::iter::once(before).chain(behind).flat_map(|piece| piece.split('<').skip(1)) {
            let (closes, tag) = tag.strip_prefix('/').map_or((false, tag), |rest| (true, rest));
            let name: &str = tag.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or("");
            let Some(name) = ELEMENTS.into_iter().find(|e| e.eq_ignore_ascii_case(name)) else { continue };
            if !closes {
                // Deeper than this nobody writes; the bound keeps the work for a hostile comment in line with its length.
                if self.elements.len() < ELEMENTS_OPEN_MAX {
                    self.elements.push(name);
                }
            } else if let Some(at) = self.elements.iter().rposition(|open| *open == name) {
                self.elements.truncate(at);
            }
        }
    }
}

fn is_inline(tag: &Tag<'_>) -> bool {
    matches!(tag, Tag::Emphasis | Tag::Strong | Tag::Strikethrough | Tag::Link { .. } | Tag::Image { .. })
        || matches!(tag, Tag::Superscript | Tag::Subscript)
}

/// The words after the call; `None` when the line does not start with one.
fn call(line: &str) -> Option<&str> {
    let (head, rest) = CALLS.iter().find_map(|call| line.split_at_checked(call.len()))?;
    let called = CALLS.iter().any(|call| head.eq_ignore_ascii_case(call));
    (called && rest.chars().next().is_none_or(char::is_whitespace)).then(|| rest.trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plain(body: &str) -> Vec<String> {
        let words = |line| match line {
            CommandLine::Plain(words) => words.to_owned(),
            CommandLine::Formatted => "(formatted)".to_owned(),
        };
        command_lines(body).into_iter().map(words).collect()
    }

    #[test]
    fn a_command_is_a_line_of_a_plain_paragraph() {
        assert_eq!(plain("/plimsoll status"), ["status"]);
        assert_eq!(plain("Thanks!\n  @Plimsoll  approve production  \nBye"), ["approve production"]);
        assert_eq!(plain("/plimsoll status\r\n\r\n/PLIMSOLL recheck\r\n"), ["status", "recheck"]);
        assert_eq!(plain("/plimsoll deploy feature_a_b to *x*"), ["deploy feature_a_b to *x*"]);
        assert_eq!(plain("/plimsoll"), [""]);
        assert_eq!(plain("/plimsoll status\\\n/plimsoll recheck"), ["status", "recheck"]);
    }

    #[test]
    fn what_is_shown_or_quoted_is_no_command() {
        for body in [
            "> /plimsoll status",
            "> quoted\n/plimsoll status", // still the quote, as GitHub shows it
            "`/plimsoll status`",
            "```\n/plimsoll status\n```",
            "```\n/plimsoll status",
            "    /plimsoll status",
            "- /plimsoll status",
            "1. one\n\n   /plimsoll status",
            "# /plimsoll status",
            "/plimsoll status\n---",
            "[/plimsoll status](https://x.example)",
            "[a\n/plimsoll status](https://x.example)",
            "~~struck\n/plimsoll status\nout~~",
            "**/plimsoll status**",
            "<!--\n/plimsoll status\n-->",
            "<!--\n\n/plimsoll status\n\n-->",
            "<details><summary>Old</summary>\n\n/plimsoll status\n\n</details>",
            "<pre>\n\n/plimsoll status\n</pre>",
            "<b>/plimsoll status</b>",
            "gone: <del>\n/plimsoll status\n</del>",
            "| a |\n|---|\n| /plimsoll status |",
            "[^1]: /plimsoll status",
            "$$\n/plimsoll status\n$$",
            "\\/plimsoll status",
            "Please write /plimsoll status",
            "/plimsolls status",
            "/plimsoll/status",
            "@plimsoll-bot status",
            "me@plimsoll status",
        ] {
            assert_eq!(plain(body), [""; 0], "{body}");
        }
    }

    #[test]
    fn a_command_after_a_closed_element_or_a_quote_counts() {
        assert_eq!(plain("<details>\n\nx\n\n</details>\n\n/plimsoll status"), ["status"]);
        assert_eq!(plain("> /plimsoll status\n\n/plimsoll recheck"), ["recheck"]);
        assert_eq!(plain("a <br>\n/plimsoll status"), ["status"]);
        assert_eq!(plain("<!--\n<details>\n-->\n\n/plimsoll status"), ["status"]);
    }

    #[test]
    fn a_command_that_holds_formatting_is_seen_but_not_guessed() {
        assert_eq!(plain("/plimsoll approve `production`"), ["(formatted)"]);
        assert_eq!(plain("/plimsoll approve [production](https://x.example)"), ["(formatted)"]);
        assert_eq!(plain("/plimsoll approve <b>production</b>"), ["(formatted)"]);
        assert_eq!(plain("/plimsoll approve `a\n/plimsoll status`"), ["(formatted)"]);
    }

    #[test]
    fn a_hostile_comment_is_read_in_time() {
        let pieces = [
            "[",
            "*",
            "`a",
            "<b>",
            "</i>",
            "> ",
            "- ",
            "<!--",
            "![](",
            "$",
            "|a",
            "~~",
            "&#",
            "_a",
            "/plimsoll a\n",
            "(",
            "[a](<",
        ];
        for piece in pieces {
            let body = format!("/plimsoll status\n{}\n</i>", piece.repeat(60_000 / piece.len()));
            command_lines(&body);
        }
        command_lines(&format!("plimsoll {}{}", "<b>".repeat(8_000), "</i>".repeat(8_000)));
    }

    proptest! {
        #[test]
        fn any_text_can_be_read(body in "\\PC{0,200}") {
            command_lines(&body);
        }

        #[test]
        fn any_markdown_around_a_call_can_be_read(parts in proptest::collection::vec(
            prop_oneof![
                Just("/plimsoll status"), Just("@plimsoll"), Just("\n"), Just("\n\n"), Just("> "), Just("- "), Just("`"),
                Just("```\n"), Just("<details>"), Just("</details>"), Just("<!--"), Just("-->"), Just("*"), Just("~~"), Just("["),
                Just("](x)"), Just("    "), Just("# "), Just("|"), Just("---"), Just("$"), Just("\\"), Just("é"), Just("\r"),
            ], 0..24)) {
            command_lines(&parts.concat());
        }

        #[test]
        fn nothing_in_a_fence_makes_a_command(inside in "[a-z/@ \n>#*_\\[\\]()<!-]{0,60}") {
            let body = format!("~~~~\n{inside}\n/plimsoll status\n{inside}\n~~~~\n");
            prop_assert!(command_lines(&body).is_empty());
        }

        #[test]
        fn nothing_in_a_quote_makes_a_command(lines in proptest::collection::vec("[a-z/@ #*_`\\[\\]()<!-]{0,20}", 0..6)) {
            let quoted: String = lines.iter().map(|l| format!("> {l}\n> /plimsoll status\n")).collect();
            prop_assert!(command_lines(&quoted).is_empty());
        }
    }
}
