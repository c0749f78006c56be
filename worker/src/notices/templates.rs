//! The mail templates: the built-in ones, and those of `EMAIL_TEMPLATE_DIR` in their place.
//!
//! A template that does not compile, or that asks for a value no mail has, is refused when the process starts: every template
//! is rendered with mails that hold every kind of news ([`super::sample`]) before the first real one. `templates/README.md`
//! describes the files and the values for whoever writes one.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior, Value};

use super::actions::Actions;

/// The built-in files.
const BUILT_IN: [(&str, &str); 8] = [
    ("layout.html", include_str!("../../../templates/layout.html")),
    ("layout.txt", include_str!("../../../templates/layout.txt")),
    ("enforce.html", include_str!("../../../templates/enforce.html")),
    ("enforce.txt", include_str!("../../../templates/enforce.txt")),
    ("audit.html", include_str!("../../../templates/audit.html")),
    ("audit.txt", include_str!("../../../templates/audit.txt")),
    ("admin.html", include_str!("../../../templates/admin.html")),
    ("admin.txt", include_str!("../../../templates/admin.txt")),
];

/// The predecessor's one template. It names this file for both modes by default, so it stands in for both here.
const PREDECESSOR: &str = "iam-auto-key-rotation-enforcement.html";

/// What a mail is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Tells owners what was done.
    Enforce,
    /// Tells owners what would be done.
    Audit,
    /// Tells the administrator what went wrong in an account.
    Admin,
}

/// The two parts of a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Html,
    Text,
}

/// Why templates are refused.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The directory cannot be read.
    #[error("EMAIL_TEMPLATE_DIR: {path} cannot be read: {error}", path = path.display())]
    Unreadable {
        /// The directory or file.
        path: PathBuf,
        error: io::Error,
    },
    /// None of its files has a name that is looked for.
    #[error(
        "EMAIL_TEMPLATE_DIR: {dir} holds none of enforce.html, enforce.txt, audit.html, audit.txt, admin.html, admin.txt, layout.html, layout.txt, {PREDECESSOR}",
        dir = dir.display()
    )]
    NothingThere { dir: PathBuf },
    /// A template does not compile.
    #[error("EMAIL_TEMPLATE_DIR: {file}, line {line}: {reason}")]
    Syntax { file: String, line: usize, reason: String },
    /// A template asks for a value that no mail has.
    #[error(
        "EMAIL_TEMPLATE_DIR: {file}, line {line}: there is no value \"{value}\" for mails; templates/README.md lists those there are"
    )]
    NoSuchValue { file: String, line: usize, value: String },
    /// A template cannot be rendered for another reason.
    #[error("EMAIL_TEMPLATE_DIR: {file}, line {line}: cannot be rendered: {reason}")]
    Unrenderable { file: String, line: usize, reason: String },
}

/// A set of compiled templates.
#[derive(Debug)]
pub struct Templates {
    env: Environment<'static>,
    predecessor: [bool; 2],
}

impl Templates {
    /// The built-in templates.
    ///
    /// # Errors
    /// None, as the tests show; the type is that of the templates of others.
    pub fn built_in() -> Result<Self, TemplateError> {
        let mut env = Environment::new();
        env.set_undefined_behavior(UndefinedBehavior::Strict);
        env.set_debug(true);
        env.set_auto_escape_callback(|name| if name.ends_with(".txt") { AutoEscape::None } else { AutoEscape::Html });
        env.set_formatter(|out, state, value| {
            if let Some(actions) = value.downcast_object_ref::<Actions>() {
                let is_html = *state.auto_escape() == AutoEscape::Html;
                return out.write_str(if is_html { &actions.html } else { &actions.text }).map_err(Into::into);
            }
            // A value that a mail does not have, as the date of a deletion that is over, is printed as nothing.
            if value.is_none() { Ok(()) } else { minijinja::escape_formatter(out, state, value) }
        });
        for (name, source) in BUILT_IN {
            env.add_template(name, source).map_err(|error| explain(&error))?;
        }
        Ok(Self { env, predecessor: [false, false] })
    }

    /// The built-in templates, with those of a directory in the place of the ones they are named like.
    ///
    /// # Errors
    /// A directory that cannot be read or holds no template, a template that does not compile.
    pub fn with_dir(dir: &Path) -> Result<Self, TemplateError> {
        let unreadable = |path: &Path| {
            let path = path.to_owned();
            move |error| TemplateError::Unreadable { path, error }
        };
        let mut templates = Self::built_in()?;
        let mut found: Vec<String> = Vec::new();
        for entry in fs::read_dir(dir).map_err(unreadable(dir))? {
            let path = entry.map_err(unreadable(dir))?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()).map(str::to_owned) else { continue };
            if !path.is_file() || !(name.ends_with(".html") || name.ends_with(".txt")) {
                continue;
            }
            let source = fs::read_to_string(&path).map_err(unreadable(&path))?;
            templates.env.add_template_owned(name.clone(), source).map_err(|error| explain(&error))?;
            found.push(name);
        }
        let is_there = |name: &str| found.iter().any(|file| file == name);
        if !is_there(PREDECESSOR) && !BUILT_IN.iter().any(|(name, _)| is_there(name)) {
            return Err(TemplateError::NothingThere { dir: dir.to_owned() });
        }
        templates.predecessor = ["enforce.html", "audit.html"].map(|name| is_there(PREDECESSOR) && !is_there(name));
        Ok(templates)
    }

    /// Renders one part of a mail.
    ///
    /// # Errors
    /// A value the template asks for and the mail does not have.
    pub fn render(&self, purpose: Purpose, part: Part, values: Value) -> Result<String, TemplateError> {
        let template = self.env.get_template(self.file(purpose, part)).map_err(|error| explain(&error))?;
        template.render(values).map_err(|error| explain(&error))
    }

    fn file(&self, purpose: Purpose, part: Part) -> &'static str {
        let [enforce, audit] = self.predecessor;
        match (purpose, part) {
            (Purpose::Enforce, Part::Html) if enforce => PREDECESSOR,
            (Purpose::Audit, Part::Html) if audit => PREDECESSOR,
            (Purpose::Enforce, Part::Html) => "enforce.html",
            (Purpose::Enforce, Part::Text) => "enforce.txt",
            (Purpose::Audit, Part::Html) => "audit.html",
            (Purpose::Audit, Part::Text) => "audit.txt",
            (Purpose::Admin, Part::Html) => "admin.html",
            (Purpose::Admin, Part::Text) => "admin.txt",
        }
    }
}

/// Says what is wrong with a template in the words of whoever wrote it.
fn explain(error: &minijinja::Error) -> TemplateError {
    // An error inside an included template or a macro is told by the innermost one.
    let mut innermost = error;
    while let Some(inner) =
        std::error::Error::source(innermost).and_then(|source| source.downcast_ref::<minijinja::Error>())
    {
        innermost = inner;
    }
    let file = innermost.name().unwrap_or("a template").to_owned();
    let line = innermost.line().unwrap_or(1);
    let kind = innermost.kind();
    let reason = match innermost.detail() {
        Some(detail) => format!("{kind}: {detail}"),
        None => kind.to_string(),
    };
    if kind == ErrorKind::UndefinedError {
        let expression =
            innermost.range().zip(innermost.template_source()).and_then(|(range, source)| source.get(range));
        return match expression {
            Some(value) => TemplateError::NoSuchValue { file, line, value: value.to_owned() },
            None => TemplateError::Unrenderable { file, line, reason },
        };
    }
    if kind == ErrorKind::SyntaxError {
        return TemplateError::Syntax { file, line, reason };
    }
    TemplateError::Unrenderable { file, line, reason }
}
