//! Writing XML: elements and escaped text, as IAM and STS answer with.

use std::fmt::Write;

#[derive(Debug, Default, Clone)]
pub struct Xml(String);

impl Xml {
    pub fn new() -> Self {
        Self::default()
    }

    /// `<name>text</name>`, the text escaped.
    pub fn text(mut self, name: &str, text: impl AsRef<str>) -> Self {
        let _ = write!(self.0, "<{name}>");
        escape_into(text.as_ref(), &mut self.0);
        let _ = write!(self.0, "</{name}>");
        self
    }

    /// Text alone, escaped, as in a list of strings.
    pub fn plain(mut self, text: &str) -> Self {
        escape_into(text, &mut self.0);
        self
    }

    /// `<name>text</name>`, if there is a text.
    pub fn optional(self, name: &str, text: Option<impl AsRef<str>>) -> Self {
        match text {
            Some(text) => self.text(name, text),
            None => self,
        }
    }

    /// `<name>…</name>` around what `inside` writes.
    pub fn element(mut self, name: &str, inside: impl FnOnce(Xml) -> Xml) -> Self {
        let _ = write!(self.0, "<{name}>");
        let mut written = inside(self);
        let _ = write!(written.0, "</{name}>");
        written
    }

    /// `<name><member>…</member>…</name>`, a member for each item.
    pub fn list<T>(self, name: &str, items: impl IntoIterator<Item = T>, member: impl Fn(Xml, T) -> Xml) -> Self {
        self.element(name, |xml| {
            items.into_iter().fold(xml, |xml, item| xml.element("member", |xml| member(xml, item)))
        })
    }

    pub fn finish(self) -> String {
        self.0
    }
}

fn escape_into(text: &str, out: &mut String) {
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\r' => out.push_str("&#xD;"),
            other => out.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_and_lists_have_members() {
        let xml = Xml::new()
            .text("Name", "<a & \"b\">")
            .optional("Gone", None::<&str>)
            .list("Keys", ["x", "y"], |xml, key| xml.text("Id", key))
            .finish();
        assert_eq!(
            xml,
            "<Name>&lt;a &amp; &quot;b&quot;&gt;</Name>\
             <Keys><member><Id>x</Id></member><member><Id>y</Id></member></Keys>"
        );
    }
}
