//! `worker preview-mail`: the mails as files, without sending any.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::notices::item::Digest;
use crate::notices::{Notices, RenderedMail, sample};

/// What is previewed, and where it goes.
#[derive(Debug, Clone)]
pub struct Options {
    /// The day the samples are made for.
    pub as_of: Timestamp,
    /// Audit wording; enforcement otherwise.
    pub audit: bool,
    /// The directory for the files; made if it is not there.
    pub out: PathBuf,
}

/// Writes the mails of the sample digests: one key, every event, 300 keys.
///
/// # Errors
/// A directory or file that cannot be written; a template that cannot be rendered.
pub fn write(notices: &Notices, options: &Options) -> io::Result<Vec<PathBuf>> {
    let samples = [
        ("one-key", sample::one_key(options.as_of, options.audit)),
        ("every-event", sample::every_event_at(options.as_of, options.audit)),
        ("300-keys", sample::many_keys_at(options.as_of, options.audit, 300)),
    ];
    let mut written = Vec::new();
    for (name, digest) in &samples {
        written.extend(write_digest(notices, digest, name, &options.out)?);
    }
    Ok(written)
}

/// Writes the mails of one digest, as of a real audit run: `<name>-<mode>-<recipient>-<n>.html` and `.txt`.
///
/// # Errors
/// As [`write()`].
pub fn write_digest(notices: &Notices, digest: &Digest, name: &str, out: &Path) -> io::Result<Vec<PathBuf>> {
    fs::create_dir_all(out)?;
    let mode = if digest.dry_run { "audit" } else { "enforce" };
    let mails = notices.render_all(digest).map_err(io::Error::other)?;
    let mut written = Vec::new();
    for (n, mail) in mails.iter().enumerate() {
        let stem = format!("{name}-{mode}-{}-{}", mail.recipient, n + 1);
        let files = [(format!("{stem}.html"), mail.html.clone()), (format!("{stem}.txt"), as_text(mail))];
        for (file, content) in files {
            let path = out.join(file);
            fs::write(&path, content)?;
            written.push(path);
        }
    }
    Ok(written)
}

/// The text part under the headers a reader sees.
fn as_text(mail: &RenderedMail) -> String {
    format!("To: {}\nSubject: {}\n\n{}", mail.address, mail.subject, mail.text)
}
