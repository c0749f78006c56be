//! Pages: `Marker`, `MaxItems`, `IsTruncated`. A marker is the name of the last item given, wrapped so that nobody reads it.

use std::collections::BTreeMap;
use std::ops::Bound;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::invalid;
use crate::call::{ApiError, Call};
use crate::wire::xml::Xml;

/// Items a page holds if the caller does not say.
pub(super) const DEFAULT_ITEMS: usize = 100;

/// Items a page holds at most.
const MOST_ITEMS: usize = 1000;

/// The page a caller asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Page {
    after: Option<String>,
    items: usize,
}

impl Page {
    /// From a call's `Marker` and `MaxItems`.
    pub(super) fn asked(call: &Call) -> Result<Self, ApiError> {
        let items = match call.text("MaxItems") {
            None => DEFAULT_ITEMS,
            Some(text) => text.parse().ok().filter(|items| (1..=MOST_ITEMS).contains(items)).ok_or_else(|| {
                invalid(format!(
                    "Value '{text}' at 'maxItems' failed to satisfy constraint: Member must be between 1 and 1000"
                ))
            })?,
        };
        let after = match call.text("Marker") {
            None => None,
            Some(marker) => {
                let name = BASE64.decode(marker).ok().and_then(|name| String::from_utf8(name).ok());
                Some(name.ok_or_else(|| invalid("Invalid Marker."))?)
            }
        };
        Ok(Self { after, items })
    }

    /// The items of this page among those sorted by name, and whether there are more.
    pub(super) fn of<'a, T>(
        &self,
        all: &'a BTreeMap<String, T>,
        wanted: impl Fn(&T) -> bool,
    ) -> (Vec<(&'a str, &'a T)>, bool) {
        let start = self.after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let rest = all.range::<str, _>((start, Bound::Unbounded)).filter(|(_, item)| wanted(item));
        self.cut(rest.map(|(name, item)| (name.as_str(), item)))
    }

    /// The items of this page among those sorted by name and not yet cut to where it starts, and whether there are more.
    pub(super) fn skip<'a, T>(&self, all: impl Iterator<Item = (&'a str, T)>) -> (Vec<(&'a str, T)>, bool) {
        self.cut(all.skip_while(|(name, _)| self.after.as_deref().is_some_and(|after| *name <= after)))
    }

    fn cut<'a, T>(&self, mut rest: impl Iterator<Item = (&'a str, T)>) -> (Vec<(&'a str, T)>, bool) {
        let page: Vec<_> = rest.by_ref().take(self.items).collect();
        (page, rest.next().is_some())
    }
}

/// `IsTruncated`, and the `Marker` of the next page if there is one.
pub(super) fn end(xml: Xml, last: Option<&str>, more: bool) -> Xml {
    let marker = last.filter(|_| more).map(|last| BASE64.encode(last));
    xml.text("IsTruncated", if more { "true" } else { "false" }).optional("Marker", marker)
}
