//! The key of an effect in what it made: the hidden line at the end of an issue or a pull request.
//!
//! Knows the line. Must never know what a key is for.

/// How the line begins.
const BEGIN: &str = "<!-- plimsoll-key:";
/// How it ends.
const END: &str = " -->";

/// The hidden line that carries a key.
pub fn key_marker(key: &str) -> String {
    format!("{BEGIN}{key}{END}")
}

/// The key in a text: the last one, because ours is written at the very end, below whatever people said.
pub fn key_in_body(body: &str) -> Option<&str> {
    let (_, rest) = body.rsplit_once(BEGIN)?;
    let (key, _) = rest.split_once(END)?;
    (!key.is_empty() && !key.contains(char::is_control)).then_some(key)
}

/// Whether a text can be the name of a service in a key.
pub fn is_service_name(text: &str) -> bool {
    (1..=100).contains(&text.len()) && !text.contains(|c: char| c == '/' || c.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_where_it_was_written_and_the_last_one_counts() {
        let body =
            format!("Why: {}\n\n{}\n", key_marker("somebody/elses/key"), key_marker("acme/shop/api/override-1/issue"));
        assert_eq!(key_in_body(&body), Some("acme/shop/api/override-1/issue"));
        assert_eq!(key_in_body("<!-- plimsoll-key: -->"), None);
        assert_eq!(key_in_body("<!-- plimsoll-key:acme"), None);
        assert_eq!(key_in_body("no key"), None);
    }
}
