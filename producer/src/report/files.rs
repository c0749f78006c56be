//! The three files of a report: a page for people, a table for spreadsheets, and everything as JSON.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::document::Document;
use super::{DATA, PAGE, TABLE, keys_table, page};
use crate::command::CommandError;

/// Makes sure, before anything is read, that they can be written into this directory: makes it, and leaves an earlier report in it as it is.
///
/// # Errors
/// [`CommandError::Usage`] where they could not be.
pub(super) fn check(out: &Path) -> Result<(), CommandError> {
    let unwritable = |path: &Path, error: &io::Error| {
        CommandError::Usage(format!("--out is wrong: {} cannot be written: {error}; nothing was read", path.display()))
    };
    fs::create_dir_all(out).map_err(|error| unwritable(out, &error))?;
    for earlier in [PAGE, DATA, TABLE].map(|name| out.join(name)) {
        match OpenOptions::new().append(true).open(&earlier) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(unwritable(&earlier, &error)),
            Err(_) | Ok(_) => {}
        }
    }
    let trial = out.join(format!(".{}", Uuid::new_v4()));
    File::create_new(&trial).and_then(|_| fs::remove_file(&trial)).map_err(|error| unwritable(out, &error))
}

/// Writes them into a directory, which is made if it is not there. What an earlier report left there is replaced.
pub(super) fn write(document: &Document, out: &Path) -> Result<Vec<PathBuf>, CommandError> {
    let unwritable =
        |path: &Path, error: &io::Error| CommandError::Failed(format!("{} cannot be written: {error}", path.display()));
    fs::create_dir_all(out).map_err(|error| unwritable(out, &error))?;
    let html =
        page::render(document).map_err(|error| CommandError::Failed(format!("the page could not be made: {error}")))?;
    let file = |name: &str, write: &dyn Fn(&mut BufWriter<File>) -> io::Result<()>| {
        let path = out.join(name);
        let written = File::create(&path).map(BufWriter::new).and_then(|mut file| {
            write(&mut file)?;
            file.flush()
        });
        written.map(|()| path.clone()).map_err(|error| unwritable(&path, &error))
    };
    Ok(vec![
        file(PAGE, &|file| file.write_all(html.as_bytes()))?,
        file(DATA, &|file| serde_json::to_writer(&mut *file, document).map_err(io::Error::from))?,
        file(TABLE, &|file| keys_table::write(document, file))?,
    ])
}
