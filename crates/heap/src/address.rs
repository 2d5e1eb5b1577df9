//! From an address to the object that begins there.
//!
//! Objects lie close together, so a page of 4 KiB has a short run of them in the sorted list of addresses: one step
//! through a small table to the page, then a search in a few cache lines.

use rustc_hash::FxHashMap;

const PAGE_BITS: u32 = 12;

/// Sorted addresses, each once; the index of an address is its id.
#[derive(Debug, Default)]
pub(crate) struct AddressIndex {
    addrs: Vec<u64>,
    /// Where the addresses of a page begin, and how many there are.
    pages: FxHashMap<u64, (u32, u32)>,
}

impl AddressIndex {
    /// `addrs` must rise strictly and be fewer than 2^32.
    pub fn new(addrs: Vec<u64>) -> AddressIndex {
        let mut pages: FxHashMap<u64, (u32, u32)> = FxHashMap::default();
        let mut start = 0;
        while let Some(&first) = addrs.get(start) {
            let page = first >> PAGE_BITS;
            let rest = addrs.get(start..).unwrap_or_default();
            let len = rest.iter().take_while(|&&addr| addr >> PAGE_BITS == page).count();
            pages.insert(page, (start as u32, len as u32));
            start += len.max(1);
        }
        AddressIndex { addrs, pages }
    }

    /// The id of the address, if it is in the list.
    #[inline]
    pub fn find(&self, addr: u64) -> Option<u32> {
        let &(start, len) = self.pages.get(&(addr >> PAGE_BITS))?;
        let page = self.addrs.get(start as usize..start as usize + len as usize)?;
        page.binary_search(&addr).ok().map(|at| start + at as u32)
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
