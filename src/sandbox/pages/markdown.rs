//! Markdown as people read it on the sandbox's pages.
//!
//! Every text here may be hostile: raw HTML is shown as text, but for a few tags without attributes
//! that GitHub also lets through; comments are dropped as GitHub hides them; links go to the web
//! only; pictures become links, so that a page fetches nothing.

use pulldown_cmark::{BlockQuoteKind, CowStr, Event, Options, Parser, Tag, TagEnd, html};

/// Tags that pass, exactly so and without attributes.
const TAGS: [&str; 7] = ["details", "summary", "sub", "sup", "kbd", "b", "i"];

/// Renders Markdown to HTML that is safe inside a page.
pub(super) fn rendered(text: &str) -> String {
    let options =
        Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS | Options::ENABLE_GFM;
    let mut events = Vec::new();
    let mut raw = String::new();
    let mut open: Vec<&'static str> = Vec::new();
    for event in Parser::new_ext(text, options) {
        match event {
            // Comments and tags may go over several events, so they are gathered first.
            Event::Html(part) | Event::InlineHtml(part) => {
                raw.push_str(&part);
                continue;
            }
            Event::Start(Tag::HtmlBlock) | Event::End(TagEnd::HtmlBlock) => {}
            other => {
                pass(&mut raw, &mut open, &mut events);
                let alert = alert_of(&other);
                events.push(tamed(other));
                if let Some(name) = alert {
                    events.push(Event::Html(format!("<p class=\"alert\">{name}</p>\n").into()));
                }
                continue;
            }
        }
        pass(&mut raw, &mut open, &mut events);
    }
    pass(&mut raw, &mut open, &mut events);
    while let Some(tag) = open.pop() {
        events.push(Event::Html(format!("</{tag}>").into()));
    }
    let mut shown = String::new();
    html::push_html(&mut shown, events.into_iter());
    shown
}

fn pass(raw: &mut String, open: &mut Vec<&'static str>, events: &mut Vec<Event<'_>>) {
    if !raw.is_empty() {
        events.push(Event::Html(passed(&std::mem::take(raw), open).into()));
    }
}

/// Lets the few tags through, balanced; all else becomes text.
fn passed(raw: &str, open: &mut Vec<&'static str>) -> String {
    let mut shown = String::new();
    let mut rest = raw;
    while !rest.is_empty() {
        if let Some(comment) = rest.strip_prefix("<!--") {
            rest = comment.find("-->").map_or("", |end| &comment[end + 3..]);
            continue;
        }
        if let Some((tag, after)) = rest.strip_prefix('<').and_then(|rest| rest.split_once('>')) {
            let closing = tag.strip_prefix('/');
            let known = TAGS.into_iter().find(|name| *name == closing.unwrap_or(tag));
            match known {
                Some(name) if closing.is_none() => {
                    open.push(name);
                    shown.push_str(&format!("<{name}>"));
                }
                // A closing tag that closes nothing of this text could close something of the page.
                Some(name) if open.last() == Some(&name) => {
                    open.pop();
                    shown.push_str(&format!("</{name}>"));
                }
                Some(_) => {}
                None if ["br", "br/", "br /"].contains(&tag) => shown.push_str("<br>"),
                None => {
                    shown.push_str("&lt;");
                    rest = &rest[1..];
                    continue;
                }
            }
            rest = after;
            continue;
        }
        let end = rest.char_indices().skip(1).find(|(_, c)| *c == '<').map_or(rest.len(), |(at, _)| at);
        shown.push_str(&escaped(&rest[..end]));
        rest = &rest[end..];
    }
    shown
}

/// The heading of `> [!WARNING]` and its like.
fn alert_of(event: &Event<'_>) -> Option<&'static str> {
    let Event::Start(Tag::BlockQuote(Some(kind))) = event else { return None };
    Some(match kind {
        BlockQuoteKind::Note => "Note",
        BlockQuoteKind::Tip => "Tip",
        BlockQuoteKind::Important => "Important",
        BlockQuoteKind::Warning => "Warning",
        BlockQuoteKind::Caution => "Caution",
    })
}

fn tamed(event: Event<'_>) -> Event<'_> {
    match event {
        Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
            Event::Start(Tag::Link { link_type, dest_url: tamed_url(dest_url), title, id })
        }
        Event::Start(Tag::Image { dest_url, title, id, .. }) => Event::Start(Tag::Link {
            link_type: pulldown_cmark::LinkType::Inline,
            dest_url: tamed_url(dest_url),
            title,
            id,
        }),
        Event::End(TagEnd::Image) => Event::End(TagEnd::Link),
        other => other,
    }
}

fn tamed_url(url: CowStr<'_>) -> CowStr<'_> {
    let lower = url.to_ascii_lowercase();
    let fine = ["http://", "https://", "mailto:", "#"].iter().any(|start| lower.starts_with(start))
        || (lower.starts_with('/') && !lower.starts_with("//"));
    if fine { url } else { CowStr::Borrowed("#") }
}

/// A text with what HTML would take for markup made harmless.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_become_text_and_comments_vanish() {
        insta::assert_snapshot!(rendered("<script>alert(1)</script>\n\n<!-- plimsoll: key -->\nhello <img src=x onerror=alert(1)>"), @r#"
        &lt;script&gt;alert(1)&lt;/script&gt;

        <p>hello &lt;img src=x onerror=alert(1)&gt;</p>
        "#);
    }

    #[test]
    fn details_pass_and_are_closed_with_the_text() {
        insta::assert_snapshot!(rendered("<details><summary>Why</summary>\n\n**risk**\n\n</details></details></div>\n\n<details onclick=x>"), @r#"
        <details><summary>Why</summary>
        <p><strong>risk</strong></p>
        </details>&lt;/div&gt;
        &lt;details onclick=x&gt;
        "#);
        assert!(rendered("<details>\n\nopen").ends_with("</details>"));
    }

    #[test]
    fn alerts_have_a_heading_and_keep_their_text() {
        insta::assert_snapshot!(rendered("> [!WARNING]\n> `production` is frozen.\n\n> quoted"), @r#"
        <blockquote class="markdown-alert-warning">
        <p class="alert">Warning</p>
        <p><code>production</code> is frozen.</p>
        </blockquote>
        <blockquote>
        <p>quoted</p>
        </blockquote>
        "#);
    }

    #[test]
    fn links_lead_to_the_web_only_and_pictures_are_links() {
        insta::assert_snapshot!(rendered("[a](javascript:alert(1)) [b](https://x.example/) ![c](https://x.example/c.png) [d](//evil.example)"), @r##"<p><a href="#">a</a> <a href="https://x.example/">b</a> <a href="https://x.example/c.png">c</a> <a href="#">d</a></p>"##);
    }
}
