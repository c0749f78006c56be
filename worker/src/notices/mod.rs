//! What owners read: who is told what, in which words, on which days; and which of it counts as told.
//!
//! ```text
//! Digest ─> recipients (whom; cadence: today?) ─> entry, wording, commands (what) ─> subject, values, templates ─> aws::mail
//! ```
//!
//! A notice that was not accepted starts no clock: [`Delivery::accepted`] lists what counts as told, and only that is recorded.

pub mod address;
pub mod cadence;
pub mod commands;
pub mod deadline;
mod deliver;
pub mod entry;
pub mod group;
pub mod item;
mod log;
pub mod recipients;
mod render;
pub mod sample;
pub mod subject;
pub mod templates;
pub mod text;
mod values;
pub mod wording;

use std::path::PathBuf;

use key_rotation_aws::Connection;
use rotation::names::Partition;

pub use deliver::{Delivery, MailError, MailFailure};
pub use item::{Account, Digest, Event, Item, KeyFacts, Mark, SecretLocation};
pub use recipients::RecipientClass;
pub use render::RenderedMail;
pub use templates::TemplateError;

use crate::aws::mail::Mailer;
use templates::Templates;

/// What operators set about mail.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MailSettings {
    /// `SENDER_EMAIL`; none: mail is off, and notices go to the log.
    pub sender: Option<String>,
    /// `EMAIL_TEMPLATE_DIR`.
    pub template_dir: Option<PathBuf>,
    /// `ADMIN_SUMMARY_EMAIL`: gets a summary of each account with failures or findings.
    pub admin: Option<String>,
    /// SES configuration set.
    pub configuration_set: Option<String>,
    /// Reply-To addresses.
    pub reply_to: Vec<String>,
    /// `RESOURCE_OWNER_TAG`; here only for the wording.
    pub resource_owner_tag: Option<String>,
}

/// Tells owners. Made once, when the process starts.
#[derive(Debug)]
pub struct Notices {
    settings: MailSettings,
    partition: Partition,
    built_in: Templates,
    custom: Option<Templates>,
    mailer: Option<Mailer>,
}

impl Notices {
    /// Compiles the templates, and renders those of others with every kind of event.
    ///
    /// Without a sender, or without a way to SES, notices go to the log.
    ///
    /// # Errors
    /// A template that cannot be used, by file, line and value.
    pub fn new(settings: MailSettings, ses: Option<&Connection>, partition: Partition) -> Result<Self, TemplateError> {
        let custom = settings.template_dir.as_deref().map(Templates::with_dir).transpose()?;
        let mailer = settings.sender.clone().zip(ses).map(|(sender, connection)| {
            let MailSettings { reply_to, configuration_set, .. } = settings.clone();
            Mailer::new(connection.ses(), sender, reply_to, configuration_set, connection.clock().clone())
        });
        let notices = Self { settings, partition, built_in: Templates::built_in()?, custom, mailer };
        if let Some(custom) = &notices.custom {
            notices.try_templates(custom)?;
        }
        Ok(notices)
    }

    /// Whether mails are sent; otherwise notices go to the log and count as given.
    pub fn sends_mail(&self) -> bool {
        self.mailer.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_templates_have_a_value_for_everything_they_print() {
        for owner_tag in [None, Some("owner".to_owned())] {
            let settings = MailSettings { resource_owner_tag: owner_tag, ..MailSettings::default() };
            let notices = Notices::new(settings, None, Partition::Aws).unwrap();
            notices.try_templates(&notices.built_in).unwrap();
        }
    }
}
