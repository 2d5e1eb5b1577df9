//! From an address to the object that begins there.
//!
//! Objects lie close together, so those of one 4 KiB page are a short run of the sorted list of addresses. A hash table
//! leads to the page, and a binary search in a few cache lines to the object.

use std::ops::Range;

use rustc_hash::FxHashMap;

const PAGE_BITS: u32 = 12;

/// The run of each page in a sorted list of addresses: where it begins, and its length.
#[derive(Debug, Default)]
pub(crate) struct Pages(FxHashMap<u64, (u32, u32)>);

impl Pages {
    /// `addrs` must be sorted and fewer than 2^32.
    pub fn new(addrs: impl Iterator<Item = u64>) -> Pages {
        let mut pages: FxHashMap<u64, (u32, u32)> = FxHashMap::default();
        for (at, addr) in addrs.enumerate() {
            pages.entry(addr >> PAGE_BITS).or_insert((at as u32, 0)).1 += 1;
        }
        Pages(pages)
    }

    /// The range of the list that holds the address, if the list has it.
    #[inline]
    pub fn run(&self, addr: u64) -> Range<usize> {
        let (start, len) = self.0.get(&(addr >> PAGE_BITS)).copied().unwrap_or_default();
        start as usize..start as usize + len as usize
    }
}

/// Sorted addresses, each once; the index of an address is its id.
#[derive(Debug, Default)]
pub(crate) struct AddressIndex {
    addrs: Vec<u64>,
    pages: Pages,
}

impl AddressIndex {
    /// `addrs` must be sorted, without duplicates, and fewer than 2^32.
    pub fn new(addrs: Vec<u64>) -> AddressIndex {
        AddressIndex {
            pages: Pages::new(addrs.iter().copied()),
            addrs,
        }
    }

    /// The address of an id.
    #[inline]
    pub fn address(&self, id: u32) -> Option<u64> {
        self.addrs.get(id as usize).copied()
    }

    /// Ids of the neighbours of an address that is not in the list: the one below and the one above.
    pub fn near(&self, addr: u64) -> impl Iterator<Item = u32> {
        let at = self.addrs.partition_point(|&other| other < addr);
        let len = self.addrs.len();
        [at.checked_sub(1), Some(at)]
            .into_iter()
            .flatten()
            .filter(move |&at| at < len)
            .map(|at| at as u32)
    }

    /// The id of the address, if it is in the list.
    #[inline]
    pub fn find(&self, addr: u64) -> Option<u32> {
        let run = self.pages.run(addr);
        let page = self.addrs.get(run.clone())?;
        page.binary_search(&addr).ok().map(|at| (run.start + at) as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_finds_what_a_plain_search_finds(mut addrs in prop::collection::vec(0u64..1 << 16, 0..300), probes in prop::collection::vec(0u64..1 << 17, 50)) {
            addrs.sort_unstable();
            addrs.dedup();
            let index = AddressIndex::new(addrs.clone());
            for probe in probes.into_iter().chain(addrs.clone()) {
                prop_assert_eq!(index.find(probe).map(|id| id as usize), addrs.binary_search(&probe).ok());
            }
        }
    }

    #[test]
    fn the_ends_of_the_address_space_are_addresses() {
        let index = AddressIndex::new(vec![0, u64::MAX]);
        assert_eq!(
            (index.find(0), index.find(u64::MAX), index.find(1)),
            (Some(0), Some(1), None)
        );
    }
}
