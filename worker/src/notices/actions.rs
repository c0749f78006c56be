//! `{{ actions }}` prints a ready-made list, as the predecessor's templates expect; `{% for action in actions %}` goes through
//! the same keys one by one.

use std::fmt;
use std::sync::Arc;

use minijinja::value::{Enumerator, Object, ObjectRepr};
use minijinja::{HtmlEscape, Value};

/// The list, ready to be printed, and its keys.
pub(super) struct Actions {
    /// For HTML; everything in it is escaped.
    pub html: String,
    pub text: String,
    list: Vec<Value>,
}

impl Actions {
    /// Keys by their lines of text and their values; so many more are not listed.
    pub(super) fn new(lines: &[String], list: Vec<Value>, more: usize) -> Self {
        let more = (more > 0).then(|| format!("and {more} more"));
        let html: String = lines.iter().chain(&more).map(|line| format!("<li>{}</li>\n", HtmlEscape(line))).collect();
        let text: String = lines.iter().chain(&more).map(|line| format!("- {line}\n")).collect();
        Self { html: format!("<ul>\n{html}</ul>"), text, list }
    }
}

impl fmt::Debug for Actions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Object for Actions {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.list.get(key.as_usize()?).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(self.list.len())
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
