//! Who wrote a commit, as a number that means nothing outside this room.
//!
//! Knows how git writes a person and a time. Must never let a name or an address out.

use std::hash::{Hash, Hasher};

/// An author's key: a hash of the e-mail address, which is compared as people mean it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Person(pub u64);

impl Person {
    /// Reads `Name <address> seconds zone`, as lenient as git: what cannot be read is the year 1970 and UTC.
    pub fn read(line: &[u8]) -> (Self, (i64, i32)) {
        let open = line.iter().rposition(|byte| *byte == b'<').unwrap_or(line.len());
        let close = line.iter().rposition(|byte| *byte == b'>').unwrap_or(line.len()).max(open);
        let address = line.get(open + 1..close).unwrap_or_default();
        let name = &line[..open];
        let rest = String::from_utf8_lossy(line.get(close + 1..).unwrap_or_default());
        let mut words = rest.split_ascii_whitespace();
        let seconds = words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
        let minutes = words.next().and_then(zone).unwrap_or(0);
        (Self::of(name, address), (seconds, minutes))
    }

    /// Case and blanks do not matter; `12345+ada@users.noreply.github.com` is `ada@users.noreply.github.com`.
    /// Whoever has no address goes by the name.
    pub fn of(name: &[u8], address: &[u8]) -> Self {
        let address = address.trim_ascii().to_ascii_lowercase();
        let own = match address.strip_suffix(b"@users.noreply.github.com") {
            Some(login) => match login.iter().position(|byte| *byte == b'+') {
                Some(plus) if login[..plus].iter().all(u8::is_ascii_digit) => &address[plus + 1..],
                _ => &address[..],
            },
            None => &address[..],
        };
        let mut hash = Stable(0xcbf2_9ce4_8422_2325);
        if own.is_empty() {
            (1, name.trim_ascii()).hash(&mut hash)
        } else {
            (0, own).hash(&mut hash)
        }
        Self(hash.finish())
    }
}

/// `+0130` in minutes.
fn zone(word: &str) -> Option<i32> {
    let number: i32 = word.parse().ok()?;
    let minutes = (number / 100) * 60 + number % 100;
    (minutes.abs() <= 24 * 60).then_some(minutes)
}

/// FNV-1a: the same in every process, since keys are kept in a file.
struct Stable(u64);

impl Hasher for Stable {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_compared_as_people_mean_it() {
        let key = |line: &str| Person::read(line.as_bytes()).0;
        assert_eq!(key("Ada <Ada@Example.org> 1 +0000"), key("Ada L. < ada@example.org> 2 +0100"));
        assert_eq!(
            key("ada <12+ada@users.noreply.github.com> 1 +0000"),
            key("ada <ada@users.noreply.github.com> 1 +0000")
        );
        assert_ne!(key("ada <a+b@example.org> 1 +0000"), key("ada <b@example.org> 1 +0000"));
        assert_ne!(key("Ada <> 1 +0000"), key("Grace <> 1 +0000"));
    }

    #[test]
    fn a_clock_is_read_as_leniently_as_by_git() {
        let clock = |line: &[u8]| Person::read(line).1;
        assert_eq!(clock(b"Ada <a@b> 1700000000 +0130"), (1_700_000_000, 90));
        assert_eq!(clock(b"Ada <a@b> 4102444800 -0800"), (4_102_444_800, -480));
        assert_eq!(clock(b"Ada <a@b> -86400 +0000"), (-86_400, 0));
        assert_eq!(clock(b"Ada <a@b> soon +9999"), (0, 0));
        assert_eq!(clock(b"Ada"), (0, 0));
        assert_eq!(clock(b"\xff <\xfe@b> 5 +0000"), (5, 0));
        assert_eq!(clock(b"<"), (0, 0));
    }
}
