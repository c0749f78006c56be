//! Keys, versions and workers by number, and sets of them.

/// A set of keys, workers or versions, one bit each.
pub(crate) type Set = u8;

/// The key that is replaced.
pub(crate) const OLD: u8 = 0;
/// The key a person makes by hand.
pub(crate) const BY_HAND: u8 = 4;
/// The version of the secret that is none of the tool's (versions are numbered as the keys they belong to).
pub(crate) const FOREIGN: u8 = 7;
/// No version.
pub(crate) const NONE: u8 = u8::MAX;
/// In [`crate::world::World::was_current`]: no version. (The key that is replaced has none of its own.)
pub(crate) const NOTHING: u8 = OLD;

/// Workers 0 to 2 act at the same time; 3 and 4 are the undisturbed deliveries afterwards.
pub(crate) const AGENTS: usize = 5;

/// The key that this worker's attempt makes. (A delivery makes one at most: after `Made` and after every error it ends.)
pub(crate) fn own_key(worker: usize) -> u8 {
    [1, 2, 3, 5, 6][worker]
}

pub(crate) fn one(member: u8) -> Set {
    1 << member
}

/// Whether it is in the set.
pub(crate) fn has(set: Set, member: u8) -> bool {
    member < 8 && set & one(member) != 0
}

/// The members, lowest first: keys in the order IAM lists them.
pub(crate) fn members(set: Set) -> impl Iterator<Item = u8> {
    (0..8).filter(move |member| has(set, *member))
}
