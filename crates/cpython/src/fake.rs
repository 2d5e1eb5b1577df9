//! A memory for unit tests: what was put there, and nothing else.

use std::collections::HashMap;

use crate::memory::Memory;

#[derive(Default)]
pub(crate) struct Fake(HashMap<u64, u8>);

impl Fake {
    pub(crate) fn put(&mut self, addr: u64, bytes: &[u8]) {
        for (at, byte) in (addr..).zip(bytes) {
            self.0.insert(at, *byte);
        }
    }

    pub(crate) fn put_u64(&mut self, addr: u64, value: u64) {
        self.put(addr, &value.to_le_bytes());
    }
}

impl Memory for Fake {
    fn read<const N: usize>(&self, addr: u64) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        for (at, byte) in (addr..).zip(&mut bytes) {
            *byte = *self.0.get(&at)?;
        }
        Some(bytes)
    }
}
