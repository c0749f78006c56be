//! What owners read, from a digest to both parts of a mail: recipients, subjects, wording, hostile names, templates of others.

mod custom_templates;
mod hostile;
mod owner_tags;
mod recipients;
mod size;
mod subjects;
mod support;
mod wording;
