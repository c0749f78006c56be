//! What operators set about mail.

use std::path::PathBuf;

use clap::ValueEnum;

/// Who is mailed in audit mode.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum AuditMails {
    /// Each account's address and the owners, as when enforcing
    #[default]
    Owners,
    /// ADMIN_SUMMARY_EMAIL alone
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
    /// `RESOURCE_OWNER_TAG`: the user tag that holds the owner's address.
    pub owner_tag: Option<String>,
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
            owner_tag: None,
            audit_mails: AuditMails::Owners,
            audit_run_interval: 1,
        }
    }
}
