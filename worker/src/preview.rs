//! `worker preview-mail`: the mails as files, without sending any. Of samples, for which nothing of AWS is needed; or of the
//! plan for a real account, which is only read.

mod index;
mod plan;

use std::fs;
use std::io;
use std::iter;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rotation::names::Partition;

use crate::error::JobError;
use crate::notices::item::Digest;
use crate::notices::{Notices, RenderedMail, TemplateError, sample};
use crate::run::StartError;
use index::Section;

pub use plan::{PlanOptions, of_plan};

/// The files that say what the others are.
const INDEX: [&str; 2] = ["index.txt", "index.html"];

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

/// Why there is no preview.
#[derive(Debug, thiserror::Error)]
pub enum PreviewError {
    /// A directory or file cannot be written.
    #[error("{path} cannot be written: {error}", path = path.display())]
    Unwritable { path: PathBuf, error: io::Error },
    /// A template asks for a value this mail does not have.
    #[error(transparent)]
    Template(#[from] TemplateError),
    #[error("the index page cannot be written: {0}")]
    Index(#[from] minijinja::Error),
    /// What is needed for looking at an account is not there.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The account could not be read, or there is no such user.
    #[error(transparent)]
    Account(#[from] JobError),
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PreviewFiles {
    /// The files, the indexes last.
    pub files: Vec<PathBuf>,
    /// Users of a real account that could not be read, so that the mails do not tell everything.
    pub unread: usize,
}

/// Writes the mails of the sample digests: one key, every event, 300 keys.
///
/// # Errors
/// [`PreviewError`].
pub fn of_samples(notices: &Notices, options: &Options) -> Result<PreviewFiles, PreviewError> {
    let every_event = sample::every_event_at(options.as_of, options.audit);
    // Few enough in a mail for each to be told in full.
    let parts = every_event.items.chunks(sample::EVENTS_IN_A_MAIL).enumerate().map(|(n, items)| {
        let of_first = |list: &[_]| if n == 0 { list.to_vec() } else { Vec::new() };
        let part =
            Digest { items: items.to_vec(), incomplete: of_first(&every_event.incomplete), ..every_event.clone() };
        (format!("every-event-{}", n + 1), format!("Every event there is, part {}", n + 1), part)
    });
    let one_key = sample::one_key(options.as_of, options.audit);
    let one_key = ("one-key".to_owned(), "One key".to_owned(), one_key);
    let many_keys = sample::many_keys_at(options.as_of, options.audit, 300);
    let many_keys = ("300-keys".to_owned(), "300 keys of one account".to_owned(), many_keys);
    let mut folder = Folder::new(&options.out)?;
    for (name, title, digest) in iter::once(one_key).chain(parts).chain([many_keys]) {
        folder.add(notices, &name, &title, &digest, Partition::AWS)?;
    }
    folder.close()
}

/// The directory, while it is filled.
struct Folder {
    path: PathBuf,
    sections: Vec<Section>,
    written: PreviewFiles,
}

impl Folder {
    fn new(path: &Path) -> Result<Self, PreviewError> {
        fs::create_dir_all(path).map_err(|error| PreviewError::Unwritable { path: path.to_owned(), error })?;
        Ok(Self { path: path.to_owned(), sections: Vec::new(), written: PreviewFiles::default() })
    }

    /// Writes the mails of one digest: `<name>-<mode>-<recipient>-<n>.html` and `.txt`.
    fn add(
        &mut self,
        notices: &Notices,
        name: &str,
        title: &str,
        digest: &Digest,
        partition: Partition,
    ) -> Result<(), PreviewError> {
        let mode = if digest.dry_run { "audit" } else { "enforce" };
        let mails = notices.render_all(digest)?;
        let mut stems = Vec::new();
        for (n, mail) in mails.iter().enumerate() {
            let stem = format!("{name}-{mode}-{}-{}", mail.recipient, n + 1);
            self.write(&format!("{stem}.html"), &mail.html)?;
            self.write(&format!("{stem}.txt"), &as_text(mail))?;
            stems.push(stem);
        }
        self.sections.push(Section::new(title, digest, &notices.routing(digest), &mails, stems, partition));
        Ok(())
    }

    fn close(mut self) -> Result<PreviewFiles, PreviewError> {
        let [text, page] = INDEX;
        self.write(text, &index::text(&self.sections))?;
        self.write(page, &index::html(&self.sections)?)?;
        Ok(self.written)
    }

    fn write(&mut self, file: &str, content: &str) -> Result<(), PreviewError> {
        let path = self.path.join(file);
        fs::write(&path, content).map_err(|error| PreviewError::Unwritable { path: path.clone(), error })?;
        self.written.files.push(path);
        Ok(())
    }
}

/// The text part under the headers a reader sees.
fn as_text(mail: &RenderedMail) -> String {
    format!("To: {}\nSubject: {}\n\n{}\n", mail.address, mail.subject, mail.text)
}
