//! Addresses below the base URL, made of parts that nobody can break out of.
//!
//! Knows percent-encoding. Must never know what the parts mean.

use std::fmt::Write;

/// One segment of a path, or one value in a query: everything but letters, digits and `-_~.` is encoded, slashes too.
///
/// `None` for what no path can hold: nothing at all, `.`, `..`, and texts of more than 1,024 bytes. Dots cannot be
/// hidden by encoding them: every reader of URLs takes `%2e%2e` for the way up.
pub fn part(text: &str) -> Option<String> {
    if text.is_empty() || text == "." || text == ".." || text.len() > 1_024 {
        return None;
    }
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~' | b'.') {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    Some(encoded)
}

/// The query of the next page in a `Link` header.
///
/// Only the query is taken, never the address: the next page is asked for where the first one was, whatever the
/// header says, and also through a proxy that GitHub knows nothing of.
pub fn next_query(link: &str) -> Option<String> {
    link.split(',').find_map(|entry| {
        let (address, rest) = entry.trim().strip_prefix('<')?.split_once('>')?;
        let is_next = rest.split(';').any(|part| matches!(part.trim(), "rel=\"next\"" | "rel=next"));
        let (_, query) = address.split_once('?')?;
        let clean = query.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
        (is_next && clean).then(|| query.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_cannot_become_more_than_a_part() {
        assert_eq!(part("feature/ä?#%").as_deref(), Some("feature%2F%C3%A4%3F%23%25"));
        assert_eq!(part("dependabot[bot]").as_deref(), Some("dependabot%5Bbot%5D"));
        assert_eq!(part(".github/plimsoll.yml").as_deref(), Some(".github%2Fplimsoll.yml"));
        for impossible in ["", ".", "..", &"x".repeat(1_025)] {
            assert_eq!(part(impossible), None);
        }
    }

    #[test]
    fn the_next_page_is_found_by_its_query_alone() {
        let link = "<https://api.github.com/repositories/1/pulls?page=1>; rel=\"prev\", \
                    <https://evil.example/steal?per_page=100&page=3>; rel=\"next\"";
        assert_eq!(next_query(link).as_deref(), Some("per_page=100&page=3"));
        assert_eq!(next_query("<https://api.github.com/x?page=1>; rel=\"last\""), None);
        assert_eq!(next_query("nonsense"), None);
    }
}
