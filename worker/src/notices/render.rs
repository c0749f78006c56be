//! A digest, written: one mail per recipient, and the administrator's summary.

use rotation::names::Partition;

use super::item::{Digest, News};
use super::recipients::{Envelope, RecipientClass, Routing};
use super::rendered_item::RenderedItem;
use super::sample;
use super::settings::MailSettings;
use super::subject::{account_title, headline, subject};
use super::templates::{Part, Purpose, TemplateError, Templates};
use super::text::{SUBJECT_LENGTH, counted, one_line};
use super::values::{DetailLimits, MailView};

/// A mail, ready to be sent.
#[derive(Clone, PartialEq, Eq)]
pub struct RenderedMail {
    pub recipient: RecipientClass,
    pub address: String,
    pub subject: String,
    pub html: String,
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

/// Writes mails: with the built-in templates, or those of `EMAIL_TEMPLATE_DIR` in their place.
#[derive(Debug)]
pub(super) struct MailRenderer {
    pub(super) settings: MailSettings,
    pub(super) partition: Partition,
    built_in: Templates,
    custom: Option<Templates>,
}

impl MailRenderer {
    /// Compiles the templates, and renders those of others with every kind of news.
    pub(super) fn new(settings: MailSettings, partition: Partition) -> Result<Self, TemplateError> {
        let custom = settings.template_dir.as_deref().map(Templates::with_dir).transpose()?;
        let renderer = Self { settings, partition, built_in: Templates::built_in()?, custom };
        if let Some(custom) = &renderer.custom {
            renderer.try_templates(custom)?;
        }
        Ok(renderer)
    }

    /// Writes the mails to the account's address and to the owners.
    pub(super) fn owner_mails(&self, digest: &Digest, routing: &Routing) -> Result<Vec<RenderedMail>, TemplateError> {
        routing.envelopes.iter().map(|envelope| self.owner_mail(digest, routing, envelope)).collect()
    }

    /// Writes one of them.
    pub(super) fn owner_mail(
        &self,
        digest: &Digest,
        routing: &Routing,
        envelope: &Envelope,
    ) -> Result<RenderedMail, TemplateError> {
        let purpose = if digest.dry_run { Purpose::Audit } else { Purpose::Enforce };
        let items = self.items(digest, envelope.items.iter().copied());
        let headline = headline(&items, digest.dry_run);
        let view = MailView { recipient: envelope.class, ..self.view(digest, routing, &items, &headline, &[]) };
        let (html, text) = self.both_parts(purpose, &view)?;
        Ok(RenderedMail {
            recipient: envelope.class,
            address: envelope.address.as_str().to_owned(),
            subject: subject(&items, &digest.account, digest.dry_run),
            html,
            text,
            items: envelope.items.clone(),
        })
    }

    /// Writes the administrator's summary, if there is an administrator's address and anything to say: findings, failures, and
    /// what in audit mode is for the administrator alone.
    pub(super) fn summary(
        &self,
        digest: &Digest,
        routing: &Routing,
        mail_failures: &[String],
    ) -> Result<Option<RenderedMail>, TemplateError> {
        let Some(admin) = &self.settings.admin else { return Ok(None) };
        let indices: Vec<usize> = (0..digest.items.len())
            .filter(|&n| is_finding(&digest.items[n].news) || routing.to_administrator.contains(&n))
            .collect();
        let items = self.items(digest, indices.iter().copied());
        let findings = indices.iter().filter(|&&n| is_finding(&digest.items[n].news)).count();
        let counts = [
            (digest.incomplete.len(), "user not worked on", "users not worked on"),
            (findings, "finding", "findings"),
            (mail_failures.len(), "notice failed", "notices failed"),
            (routing.bad_owner_tags.len(), "owner tag to correct", "owner tags to correct"),
            (items.len() - findings, "key due in audit mode", "keys due in audit mode"),
        ];
        let said: Vec<String> =
            counts.iter().filter(|(n, ..)| *n > 0).map(|(n, one, many)| counted(*n, one, many)).collect();
        if said.is_empty() {
            return Ok(None);
        }
        let headline = format!("Access key rotation: {}", said.join(", "));
        let view = self.view(digest, routing, &items, &headline, mail_failures);
        let (html, text) = self.both_parts(Purpose::Admin, &view)?;
        Ok(Some(RenderedMail {
            recipient: RecipientClass::Administrator,
            address: admin.clone(),
            subject: one_line(&format!("{headline} - {}", account_title(&digest.account)), SUBJECT_LENGTH),
            html,
            text,
            items: indices,
        }))
    }

    /// Renders each template of a set with mails of every kind and every length, so that one that cannot be used is refused at
    /// start.
    fn try_templates(&self, templates: &Templates) -> Result<(), TemplateError> {
        for dry_run in [false, true] {
            for digest in [sample::every_event(dry_run), sample::bare(dry_run)] {
                let purpose = if dry_run { Purpose::Audit } else { Purpose::Enforce };
                let routing = Routing::new(&digest, &self.settings);
                let items = self.items(&digest, 0..digest.items.len());
                let headline = headline(&items, dry_run);
                let failures = ["the mail to the owner was not sent".to_owned()];
                let mut view = self.view(&digest, &routing, &items, &headline, &failures);
                for recipient in [RecipientClass::Account, RecipientClass::Owner, RecipientClass::Administrator] {
                    view.recipient = recipient;
                    for (purpose, part) in [purpose, Purpose::Admin].into_iter().flat_map(both) {
                        for limits in [DetailLimits::new(part, 1), DetailLimits::ALL, DetailLimits::LOWEST] {
                            templates.render(purpose, part, view.values(limits))?;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn items(&self, digest: &Digest, indices: impl Iterator<Item = usize>) -> Vec<RenderedItem> {
        let mut items: Vec<RenderedItem> =
            indices.map(|index| RenderedItem::new(digest, index, self.partition)).collect();
        items.sort_by_cached_key(RenderedItem::urgency);
        items
    }

    fn view<'a>(
        &'a self,
        digest: &'a Digest,
        routing: &'a Routing,
        items: &'a [RenderedItem],
        headline: &'a str,
        mail_failures: &'a [String],
    ) -> MailView<'a> {
        let sender = self.settings.sender.as_deref().unwrap_or_default();
        MailView {
            digest,
            items,
            headline,
            recipient: RecipientClass::Administrator,
            bad_owner_tags: &routing.bad_owner_tags,
            mail_failures,
            sender,
            contact: self.settings.reply_to.first().map_or(sender, String::as_str),
            owner_tag: self.settings.owner_tag.as_deref(),
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

fn is_finding(news: &News) -> bool {
    matches!(news, News::Finding(_))
}

fn render_with(
    templates: &Templates,
    purpose: Purpose,
    view: &MailView<'_>,
) -> Result<(String, String), TemplateError> {
    let render = |part| templates.render(purpose, part, view.values(DetailLimits::new(part, view.items.len())));
    Ok((render(Part::Html)?, render(Part::Text)?))
}

fn both(purpose: Purpose) -> [(Purpose, Part); 2] {
    [(purpose, Part::Html), (purpose, Part::Text)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_templates_have_a_value_for_everything_they_print() {
        for owner_tag in [None, Some("owner".to_owned())] {
            let settings = MailSettings { owner_tag, ..MailSettings::default() };
            let renderer = MailRenderer::new(settings, Partition::AWS).unwrap();
            renderer.try_templates(&renderer.built_in).unwrap();
        }
    }
}
