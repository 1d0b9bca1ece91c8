//! Objects out of one pack, each decoded once, bases before what is built on them.
//!
//! Knows the form of a pack file and of its deltas (git's `gitformat-pack`). Must never hold more than one line of
//! descent in memory, and never map the file: its pages would count as memory of the process.

use super::error::HistoryError;
use gix_hash::{Kind, ObjectId};
use gix_pack::data::entry::Header;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::rc::Rc;

/// A pack that is read from the disk piece by piece.
pub(super) struct Pack {
    index: gix_pack::index::File<gix_pack::MMap>,
    file: File,
    /// Where each object begins, ascending; at the end, where the last one ends.
    starts: Vec<u64>,
    window: Vec<u8>,
    window_start: u64,
}

/// Bytes read at once: families of deltas lie together.
const WINDOW_BYTES: usize = 16 << 10;

/// One object that is wanted, or that a wanted one is built on.
struct Node {
    start: u64,
    base: Option<u32>,
    /// What the caller calls the object; `None`: it is only built on.
    wanted: Option<u32>,
}

impl Pack {
    /// Opens a pack by the path of its index.
    pub fn open(index: &Path) -> Result<Self, HistoryError> {
        let damaged = |_| HistoryError::damaged(format!("the index `{}` cannot be read", index.display()));
        let path = index.with_extension("pack");
        let file = File::open(&path).map_err(|source| HistoryError::file(&path, source))?;
        let length = file.metadata().map_err(|source| HistoryError::file(&path, source))?.len();
        let index = gix_pack::index::File::at(index, Kind::Sha1).map_err(damaged)?;
        let mut starts = index.sorted_offsets();
        starts.push(length.saturating_sub(20));
        Ok(Self { index, file, starts, window: Vec::new(), window_start: 0 })
    }

    /// Where an object begins; `None` when the pack has it not.
    pub fn start_of(&self, id: &ObjectId) -> Option<u64> {
        self.index.lookup(id).map(|at| self.index.pack_offset_at_index(at))
    }

    /// Hands over the wanted objects (where they begin, what the caller calls them), in the order of the pack.
    ///
    /// An object that is larger than `bytes_max`, or built on one that is not in this pack, is left out.
    pub fn each(
        &mut self,
        wanted: &[(u64, u32)],
        bytes_max: usize,
        mut take: impl FnMut(u32, &Rc<Vec<u8>>),
    ) -> Result<(), HistoryError> {
        let nodes = self.nodes(wanted)?;
        let children = Children::of(&nodes);
        let mut inflate = gix_zlib::Inflate::default();
        let mut todo: Vec<(u32, Rc<Vec<u8>>)> = Vec::new();
        let nothing = Rc::new(Vec::new());
        for root in children.roots {
            todo.push((root, Rc::clone(&nothing)));
            while let Some((at, base)) = todo.pop() {
                let node = &nodes[at as usize];
                let Some(bytes) = self.decode(node, base, bytes_max, &mut inflate)? else { continue };
                let bytes = Rc::new(bytes);
                if let Some(name) = node.wanted {
                    take(name, &bytes);
                }
                // The one with the longest line of descent goes last, when its base is needed by nobody else.
                todo.extend(children.lists[at as usize].iter().map(|child| (*child, Rc::clone(&bytes))));
            }
        }
        Ok(())
    }

    /// The wanted objects and their bases, sorted by where they begin, so that a base comes before what is built on it.
    fn nodes(&mut self, wanted: &[(u64, u32)]) -> Result<Vec<Node>, HistoryError> {
        let mut names: std::collections::HashMap<u64, Option<u32>> = std::collections::HashMap::new();
        let mut bases = std::collections::HashMap::new();
        let mut todo: Vec<u64> = wanted.iter().map(|(start, _)| *start).collect();
        names.extend(wanted.iter().map(|(start, name)| (*start, Some(*name))));
        todo.sort_unstable();
        while let Some(start) = todo.pop() {
            if bases.contains_key(&start) {
                continue;
            }
            let base = self.base_of(start)?;
            bases.insert(start, base);
            if let Base::At(base) = base
                && names.insert(base, names.get(&base).copied().flatten()).is_none()
            {
                todo.push(base);
            }
        }
        let mut starts: Vec<u64> = names.keys().copied().collect();
        starts.sort_unstable();
        let place = |start: u64| starts.binary_search(&start).ok().and_then(|at| u32::try_from(at).ok());
        let nodes = starts.iter().map(|start| Node {
            start: *start,
            base: match bases[start] {
                Base::None => None,
                Base::At(base) => place(base),
                // Without its base it cannot be decoded: it is its own, which no walk from the roots reaches.
                Base::Elsewhere => place(*start),
            },
            wanted: names[start],
        });
        Ok(nodes.collect())
    }

    fn base_of(&mut self, start: u64) -> Result<Base, HistoryError> {
        let entry = self.entry(start)?;
        Ok(match entry.header {
            Header::OfsDelta { .. } | Header::RefDelta { .. } => match self.base_start(&entry, start) {
                Some(base) => Base::At(base),
                None => Base::Elsewhere,
            },
            Header::Commit | Header::Tree | Header::Blob | Header::Tag => Base::None,
        })
    }

    fn base_start(&self, entry: &gix_pack::data::Entry, start: u64) -> Option<u64> {
        match &entry.header {
            Header::OfsDelta { base_distance } => start
                .checked_sub(*base_distance)
                .filter(|base| *base < start && self.starts.binary_search(base).is_ok()),
            Header::RefDelta { base_id } => self.start_of(base_id).filter(|base| *base != start),
            Header::Commit | Header::Tree | Header::Blob | Header::Tag => None,
        }
    }

    fn entry(&mut self, start: u64) -> Result<gix_pack::data::Entry, HistoryError> {
        let bytes = self.read(start)?;
        gix_pack::data::Entry::from_bytes(bytes, start, Kind::Sha1).map_err(|_| broken(start))
    }

    /// `None`: larger than wanted.
    fn decode(
        &mut self,
        node: &Node,
        base: Rc<Vec<u8>>,
        bytes_max: usize,
        inflate: &mut gix_zlib::Inflate,
    ) -> Result<Option<Vec<u8>>, HistoryError> {
        let entry = self.entry(node.start)?;
        let size = usize::try_from(entry.decompressed_size).unwrap_or(usize::MAX);
        if size > bytes_max {
            return Ok(None);
        }
        let header = usize::from(entry.encoded_header_size);
        let mut plain = vec![0; size];
        let packed = self.read(node.start)?.get(header..).ok_or_else(|| broken(node.start))?;
        inflate.reset();
        let (status, _, written) = inflate.once(packed, &mut plain).map_err(|_| broken(node.start))?;
        if status != gix_zlib::Status::StreamEnd || written != size {
            return Err(broken(node.start));
        }
        if !entry.header.is_delta() {
            return Ok(Some(plain));
        }
        match apply(&base, &plain, bytes_max) {
            Ok(bytes) => Ok(bytes),
            Err(Broken) => Err(broken(node.start)),
        }
    }

    /// The bytes of the object that begins here, and maybe more.
    fn read(&mut self, start: u64) -> Result<&[u8], HistoryError> {
        let at = self.starts.binary_search(&start).map_err(|_| broken(start))?;
        let end = *self.starts.get(at + 1).ok_or_else(|| broken(start))?;
        let window_end = self.window_start + self.window.len() as u64;
        if start < self.window_start || end > window_end {
            let last = self.starts.last().copied().unwrap_or(end);
            let wanted = (end - start).max(WINDOW_BYTES as u64).min(last.saturating_sub(start));
            self.window.resize(usize::try_from(wanted).map_err(|_| broken(start))?, 0);
            self.window_start = start;
            if self.file.read_exact_at(&mut self.window, start).is_err() {
                self.window.clear();
                return Err(broken(start));
            }
        }
        let from = usize::try_from(start - self.window_start).map_err(|_| broken(start))?;
        self.window.get(from..).ok_or_else(|| broken(start))
    }
}

#[derive(Clone, Copy)]
enum Base {
    None,
    At(u64),
    Elsewhere,
}

fn broken(start: u64) -> HistoryError {
    HistoryError::damaged(format!("the object at byte {start} of a pack cannot be read"))
}

/// Who is built on whom.
struct Children {
    roots: Vec<u32>,
    /// Those with the fewest descendants last: a stack takes them first.
    lists: Vec<Vec<u32>>,
}

impl Children {
    fn of(nodes: &[Node]) -> Self {
        let mut lists = vec![Vec::new(); nodes.len()];
        let mut roots = Vec::new();
        for (at, node) in (0u32..).zip(nodes) {
            match node.base {
                None => roots.push(at),
                Some(base) if base == at => {}
                Some(base) => lists[base as usize].push(at),
            }
        }
        // Descendants are counted from the leaves up. A base of an offset delta lies before it; one that is named by hash
        // may lie behind, and is then only counted too low, which costs memory and nothing else.
        let mut weights = vec![1u32; nodes.len()];
        for (at, node) in nodes.iter().enumerate().rev() {
            if let Some(base) = node.base.filter(|base| (*base as usize) < at) {
                weights[base as usize] = weights[base as usize].saturating_add(weights[at]);
            }
        }
        for list in &mut lists {
            list.sort_by_key(|child| std::cmp::Reverse(weights[*child as usize]));
        }
        Self { roots, lists }
    }
}

struct Broken;

/// Builds an object from its base by the instructions of a delta; `None`: larger than wanted.
fn apply(base: &[u8], delta: &[u8], bytes_max: usize) -> Result<Option<Vec<u8>>, Broken> {
    let mut rest = delta;
    let base_size = size(&mut rest)?;
    let result_size = size(&mut rest)?;
    if base_size != base.len() {
        return Err(Broken);
    }
    if result_size > bytes_max {
        return Ok(None);
    }
    let mut result = Vec::with_capacity(result_size);
    while let Some((command, after)) = rest.split_first() {
        rest = after;
        if command & 0x80 != 0 {
            let mut field = |bits: std::ops::Range<u32>| {
                let mut value = 0usize;
                for (place, bit) in bits.enumerate() {
                    if command & (1 << bit) != 0 {
                        let (byte, after) = rest.split_first().ok_or(Broken)?;
                        rest = after;
                        value |= usize::from(*byte) << (8 * place);
                    }
                }
                Ok(value)
            };
            let from = field(0..4)?;
            let length = field(4..7)?;
            let length = if length == 0 { 0x1_0000 } else { length };
            result.extend_from_slice(base.get(from..from + length).ok_or(Broken)?);
        } else if *command != 0 {
            let (bytes, after) = rest.split_at_checked(usize::from(*command)).ok_or(Broken)?;
            result.extend_from_slice(bytes);
            rest = after;
        } else {
            return Err(Broken);
        }
        if result.len() > result_size {
            return Err(Broken);
        }
    }
    if result.len() == result_size { Ok(Some(result)) } else { Err(Broken) }
}

/// Seven bits a byte, low ones first.
fn size(rest: &mut &[u8]) -> Result<usize, Broken> {
    let mut value = 0usize;
    for shift in (0..usize::BITS).step_by(7) {
        let (byte, after) = rest.split_first().ok_or(Broken)?;
        *rest = after;
        value |= usize::from(byte & 0x7f).checked_shl(shift).ok_or(Broken)?;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Broken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(base: &[u8], delta: &[u8]) -> Option<Vec<u8>> {
        apply(base, delta, 1_000).ok().flatten()
    }

    #[test]
    fn a_delta_copies_from_its_base_and_brings_its_own() {
        assert_eq!(built(b"hello world", b"\x0b\x08\x90\x05\x03 ho"), Some(b"hello ho".to_vec()));
        assert_eq!(built(b"hello world", b"\x0b\x05\x91\x06\x05"), Some(b"world".to_vec()));
    }

    #[test]
    fn a_broken_delta_is_refused() {
        for delta in [
            &b""[..],
            b"\x0b",
            b"\x0a\x05\x90\x05",
            b"\x0b\x05\x90",
            b"\x0b\x05\x91\x09\x05",
            b"\x0b\x05\x00",
            b"\x0b\x04\x90\x05",
            b"\x0b\x06\x90\x05",
            b"\x0b\x05\x05ab",
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        ] {
            assert!(built(b"hello world", delta).is_none(), "{delta:?}");
        }
    }

    #[test]
    fn what_would_be_too_large_is_left_out() {
        assert!(matches!(apply(b"hello world", b"\x0b\x0b\x90\x0b", 5), Ok(None)));
    }
}
