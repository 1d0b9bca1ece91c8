//! Finds the name that somebody probably meant.
//!
//! Knows letters only. Must never know what the names stand for.

/// Letters of a word that are looked at; a longer one is like no name of ours.
const LENGTH_MAX: usize = 64;

/// The candidate that is most like `word`, if one is near enough to be worth asking about.
///
/// Compared without case; near enough is one slip in three letters, at least one. Of equally near ones the first.
/// `None` also when `word` is empty or longer than 64 characters.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = letters(word)?;
    let slips_max = (word.len() / 3).max(1);
    let near = |candidate: &'a str| Some((slips(&word, &letters(candidate)?), candidate));
    let (found, best) = candidates.into_iter().filter_map(near).min_by_key(|(slips, _)| *slips)?;
    (found <= slips_max).then_some(best)
}

/// `" Did you mean `x`?"`, or nothing. The names must be our own or checked ones: they are not escaped.
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, candidates).map_or_else(String::new, |name| format!(" Did you mean `{name}`?"))
}

fn letters(word: &str) -> Option<Vec<char>> {
    let letters: Vec<char> = word.chars().take(LENGTH_MAX + 1).flat_map(char::to_lowercase).collect();
    (1..=LENGTH_MAX).contains(&letters.len()).then_some(letters)
}

/// Letters to add, drop, change or swap with their neighbour to get from one word to the other.
fn slips(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let mut least = (above[j] + usize::from(x != y)).min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_finds_the_name() {
        let names = ["approve", "approval", "deploy", "rollback"];
        for (word, name) in
            [("aprove", "approve"), ("Depoly", "deploy"), ("roll-back", "rollback"), ("aproval", "approval")]
        {
            assert_eq!(nearest(word, names), Some(name), "{word}");
        }
    }

    #[test]
    fn a_word_that_is_like_no_name_finds_none() {
        assert_eq!(nearest("banana", ["approve", "deploy"]), None);
        assert_eq!(nearest("", ["approve"]), None);
        assert_eq!(nearest(&"a".repeat(100_000), ["approve"]), None);
        assert_eq!(nearest("approve", []), None);
    }
}
