//! What operators set about mail.

use std::path::PathBuf;

/// Who is mailed in audit mode.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AuditMails {
    /// The account's address and the owners, as when rotation is enforced.
    #[default]
    Owners,
    /// `ADMIN_SUMMARY_EMAIL` alone: for the first weeks, in which nobody has looked at what would be mailed.
    Administrator,
}

/// What operators set about mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailSettings {
    /// `SENDER_EMAIL`; none: mail is off, and notices go to the log.
    pub sender: Option<String>,
    /// `EMAIL_TEMPLATE_DIR`.
    pub template_dir: Option<PathBuf>,
    /// `ADMIN_SUMMARY_EMAIL`: gets a summary of each account with failures or findings.
    pub admin: Option<String>,
    /// `SES_CONFIGURATION_SET`.
    pub configuration_set: Option<String>,
    /// `REPLY_TO_EMAIL`.
    pub reply_to: Vec<String>,
    /// `RESOURCE_OWNER_TAG`; here only for the wording.
    pub resource_owner_tag: Option<String>,
    /// `AUDIT_MAILS`.
    pub audit_mails: AuditMails,
    /// `AUDIT_RUN_INTERVAL`: days between two scheduled runs in audit mode, which leaves no record of its reminders.
    pub audit_run_interval: u32,
}

impl Default for MailSettings {
    fn default() -> Self {
        Self {
            sender: None,
            template_dir: None,
            admin: None,
            configuration_set: None,
            reply_to: Vec::new(),
            resource_owner_tag: None,
            audit_mails: AuditMails::Owners,
            audit_run_interval: 1,
        }
    }
}
