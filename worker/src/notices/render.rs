//! A digest, written: one mail per recipient, and the administrator's summary.

use super::entry::Entry;
use super::item::{Digest, Event};
use super::recipients::{RecipientClass, Routing};
use super::subject::{account_title, headline, subject};
use super::templates::{Part, Purpose, TemplateError, Templates};
use super::text::{counted, one_line};
use super::values::{Fold, MailView};
use super::{Notices, sample};

/// A mail, ready to be sent.
#[derive(Clone, PartialEq, Eq)]
pub struct RenderedMail {
    /// Who it is for.
    pub recipient: RecipientClass,
    /// Where it goes.
    pub address: String,
    /// The subject.
    pub subject: String,
    /// The HTML part.
    pub html: String,
    /// The plain text part.
    pub text: String,
    /// The items it tells, by their place in the digest.
    pub items: Vec<usize>,
}

/// Without the address, which never gets into logs.
impl std::fmt::Debug for RenderedMail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RenderedMail")
            .field("recipient", &self.recipient)
            .field("subject", &self.subject)
            .field("items", &self.items)
            .finish_non_exhaustive()
    }
}

impl Notices {
    /// Writes all mails of a digest, the administrator's summary included, without sending them.
    ///
    /// # Errors
    /// A template that asks for a value this digest does not have.
    pub fn render_all(&self, digest: &Digest) -> Result<Vec<RenderedMail>, TemplateError> {
        let routing = Routing::of(digest);
        let mut mails = self.render_owners(digest, &routing)?;
        mails.extend(self.render_summary(digest, &routing, &[])?);
        Ok(mails)
    }

    /// Writes the mails to the account's address and to the owners.
    pub(super) fn render_owners(&self, digest: &Digest, routing: &Routing) -> Result<Vec<RenderedMail>, TemplateError> {
        let purpose = if digest.dry_run { Purpose::Audit } else { Purpose::Enforce };
        routing
            .envelopes
            .iter()
            .map(|envelope| {
                let entries = self.entries(digest, envelope.items.iter().copied());
                let headline = headline(&entries, digest.dry_run);
                let view = MailView {
                    is_for_account: envelope.class == RecipientClass::Account,
                    ..self.view(digest, routing, &entries, &headline, &[])
                };
                let (html, text) = self.both_parts(purpose, &view)?;
                Ok(RenderedMail {
                    recipient: envelope.class,
                    address: envelope.address.as_str().to_owned(),
                    subject: subject(&entries, &digest.account, digest.dry_run),
                    html,
                    text,
                    items: envelope.items.clone(),
                })
            })
            .collect()
    }

    /// Writes the administrator's summary, if there is an administrator's address and anything to say.
    pub(super) fn render_summary(
        &self,
        digest: &Digest,
        routing: &Routing,
        mail_failures: &[String],
    ) -> Result<Option<RenderedMail>, TemplateError> {
        let Some(admin) = &self.settings.admin else { return Ok(None) };
        let findings = digest.items.iter().enumerate().filter(|(_, item)| match item.event {
            Event::Finding(_) => true,
            Event::Rotated { .. }
            | Event::Noticed { .. }
            | Event::Disabled { .. }
            | Event::Contained
            | Event::Deleted
            | Event::FoundInactive { .. }
            | Event::Restored { .. }
            | Event::Upcoming { .. }
            | Event::Postponed { .. } => false,
        });
        let entries = self.entries(digest, findings.map(|(index, _)| index));
        let counts = [
            (digest.incomplete.len(), "user not worked on", "users not worked on"),
            (entries.len(), "finding", "findings"),
            (mail_failures.len(), "mail not sent", "mails not sent"),
            (routing.bad_owner_tags.len(), "owner tag to mend", "owner tags to mend"),
        ];
        let said: Vec<String> =
            counts.iter().filter(|(n, ..)| *n > 0).map(|(n, one, many)| counted(*n, one, many)).collect();
        if said.is_empty() {
            return Ok(None);
        }
        let headline = format!("Access key rotation: {}", said.join(", "));
        let view = MailView { is_for_account: true, ..self.view(digest, routing, &entries, &headline, mail_failures) };
        let (html, text) = self.both_parts(Purpose::Admin, &view)?;
        Ok(Some(RenderedMail {
            recipient: RecipientClass::Administrator,
            address: admin.clone(),
            subject: one_line(&format!("{headline} - {}", account_title(&digest.account)), 250),
            html,
            text,
            items: entries.iter().map(|entry| entry.index).collect(),
        }))
    }

    /// Renders each template of a set with mails of every kind and every length, so that one that cannot be used is refused at
    /// start.
    pub(super) fn try_templates(&self, templates: &Templates) -> Result<(), TemplateError> {
        for dry_run in [false, true] {
            for digest in [sample::every_event(dry_run), sample::bare(dry_run)] {
                let purpose = if dry_run { Purpose::Audit } else { Purpose::Enforce };
                let routing = Routing::of(&digest);
                let entries = self.entries(&digest, 0..digest.items.len());
                let headline = headline(&entries, dry_run);
                let failures = ["the mail to the owner was not sent".to_owned()];
                let mut view = self.view(&digest, &routing, &entries, &headline, &failures);
                for is_for_account in [true, false] {
                    view.is_for_account = is_for_account;
                    for (purpose, part) in [purpose, Purpose::Admin].into_iter().flat_map(both) {
                        templates.render(purpose, part, view.values(Fold::of(part)))?;
                        templates.render(purpose, part, view.values(Fold::EARLY))?;
                    }
                }
            }
        }
        Ok(())
    }

    fn entries(&self, digest: &Digest, items: impl Iterator<Item = usize>) -> Vec<Entry> {
        let mut entries: Vec<Entry> =
            items.map(|index| Entry::of(digest, index, &digest.items[index], self.partition)).collect();
        entries.sort_by_cached_key(Entry::urgency);
        entries
    }

    fn view<'a>(
        &'a self,
        digest: &'a Digest,
        routing: &'a Routing,
        entries: &'a [Entry],
        headline: &'a str,
        mail_failures: &'a [String],
    ) -> MailView<'a> {
        MailView {
            digest,
            entries,
            headline,
            is_for_account: false,
            bad_owner_tags: &routing.bad_owner_tags,
            mail_failures,
            sender: self.settings.sender.as_deref().unwrap_or_default(),
            owner_tag: self.settings.resource_owner_tag.as_deref(),
            partition: self.partition,
        }
    }

    /// Templates of others are tried at start, but not with every name there is: where one fails on a real mail, the built-in
    /// one takes its place, because an owner who is not told is worse off than one who gets a plainer mail.
    fn both_parts(&self, purpose: Purpose, view: &MailView<'_>) -> Result<(String, String), TemplateError> {
        if let Some(custom) = &self.custom {
            match render_with(custom, purpose, view) {
                Ok(parts) => return Ok(parts),
                Err(error) => tracing::error!(%error, "a mail template failed; the built-in one is used"),
            }
        }
        render_with(&self.built_in, purpose, view)
    }
}

fn render_with(
    templates: &Templates,
    purpose: Purpose,
    view: &MailView<'_>,
) -> Result<(String, String), TemplateError> {
    let render = |part| templates.render(purpose, part, view.values(Fold::of(part)));
    Ok((render(Part::Html)?, render(Part::Text)?))
}

fn both(purpose: Purpose) -> [(Purpose, Part); 2] {
    [(purpose, Part::Html), (purpose, Part::Text)]
}
