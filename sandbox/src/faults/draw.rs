//! Random draws that are a function of the seed, of what is drawn for, and of how often that was drawn for before.

use std::collections::HashMap;

/// A source of draws.
#[derive(Debug, Clone)]
pub(super) struct Draws {
    seed: u64,
    /// How often each thing was drawn for, by its hash.
    counts: HashMap<u64, u64>,
}

impl Draws {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, counts: HashMap::new() }
    }

    /// A number from 0 to below 1.
    pub(super) fn next(&mut self, about: &[&str]) -> f64 {
        /// 2 to the 53rd: as many steps as a float tells apart below 1.
        const STEPS: f64 = 9_007_199_254_740_992.0;
        let thing = fnv1a(about);
        let count = self.counts.entry(thing).or_default();
        *count += 1;
        let bits = mix(mix(self.seed ^ thing).wrapping_add(*count)) >> 11;
        bits as f64 / STEPS
    }
}

/// FNV-1a over the parts, with a separator: fixed for good, unlike the standard library's hashers.
fn fnv1a(parts: &[&str]) -> u64 {
    let bytes = parts.iter().flat_map(|part| part.bytes().chain([0xff]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The finaliser of SplitMix64.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
