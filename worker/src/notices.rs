//! What owners read: who is told what, in which words, on which days; and which of it counts as told.
//!
//! ```text
//! Digest ─> recipients (whom; cadence: now?) ─> wording, instructions (what) ─> subject, values, templates ─> deliver ─> aws::mail
//! ```
//!
//! A notice that was not accepted starts no clock: [`Recorder`] is given what counts as told, mail by mail, and only that is
//! recorded.

mod actions;
pub mod address;
pub mod cadence;
pub mod commands;
pub mod deadline;
mod deliver;
mod failure;
mod fetcher;
pub mod group;
pub mod instructions;
pub mod item;
mod log;
pub mod recipients;
mod render;
pub mod rendered_item;
pub mod sample;
mod settings;
pub mod subject;
pub mod templates;
pub mod text;
mod values;
pub mod wording;

pub use deliver::{DigestReport, Notices, Recorder};
pub use failure::{MailError, MailFailure};
pub use item::{Account, Digest, DigestItem, IncompleteUser, KeyFacts, News, SecretFacts, SecretLocation};
pub use recipients::RecipientClass;
pub use render::RenderedMail;
pub use settings::{AuditMails, MailSettings};
pub use templates::TemplateError;
