//! A short name made from a model's numbers, so that the same numbers always have the same name.
//!
//! Knows bytes. Must never know what they mean. Not for secrets: anyone can make two texts with one digest.

use super::model::Model;

/// Six hexadecimal digits of the numbers of a model; its name, version and provenance have no say.
pub fn of(model: &Model) -> String {
    // A model of numbers and names is always text; an empty one would still be a digest.
    let text = serde_json::to_string(&(&model.intercept, &model.factors, &model.pairs)).unwrap_or_default();
    format!("{:06x}", fnv_1a(text.as_bytes()) & 0xff_ffff)
}

/// FNV-1a of 64 bits (Fowler, Noll and Vo; IETF draft-eastlake-fnv), its upper half folded into the lower.
fn fnv_1a(bytes: &[u8]) -> u64 {
    let hash = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3));
    hash ^ (hash >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_the_published_one() {
        // From the draft: the hash of nothing is the offset basis, that of `a` is af63dc4c8601ec8c.
        assert_eq!(fnv_1a(b""), 0xcbf2_9ce4_8422_2325 ^ 0xcbf2_9ce4);
        assert_eq!(fnv_1a(b"a"), 0xaf63_dc4c_8601_ec8c ^ 0xaf63_dc4c);
    }

    #[test]
    fn another_number_gives_another_name_and_another_provenance_does_not() {
        let model = Model::shipped();
        let mut other = model.clone();
        other.provenance.date = "1970-01-01".to_owned();
        assert_eq!(of(model), of(&other));
        other.intercept += 1e-4;
        assert_ne!(of(model), of(&other));
    }
}
