//! Templates of others: those of the predecessor keep working, and one that cannot work is refused at start.

use std::fs;
use std::path::{Path, PathBuf};

use rotation::Finding;
use rotation::names::Partition;
use worker::notices::item::Digest;
use worker::notices::{MailSettings, News, Notices, RenderedMail, TemplateError};

use crate::support::{digest, key, monday, replaced, settings};

/// A directory of its own for each test, with these files.
fn dir(name: &str, files: &[(&str, &str)]) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("notices").join(name);
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).expect("a directory can be made");
    for (file, content) in files {
        fs::write(dir.join(file), content).expect("a file can be written");
    }
    dir
}

fn with(template_dir: PathBuf) -> Result<Notices, TemplateError> {
    Notices::new(MailSettings { template_dir: Some(template_dir), ..settings() }, None, Partition::AWS)
}

fn refusal(name: &str, files: &[(&str, &str)]) -> String {
    with(dir(name, files)).err().map(|error| error.to_string()).expect("refused")
}

fn mail(notices: &Notices, digest: &Digest) -> RenderedMail {
    notices.render_all(digest).expect("it renders").remove(0)
}

/// The predecessor's nine placeholders, in its spelling.
const ALL_PLACEHOLDERS: &str = "<p>{{partition_name}}|{{account_id}}|{{account_name}}|{{timestamp}}|{{rotation_period}}\
|{{installation_grace_period}}|{{recovery_grace_period}}|{{sender_email}}</p>{{actions}}";

#[test]
fn the_predecessors_template_and_placeholders_keep_working_in_both_modes() {
    let notices = with(dir("predecessor", &[("iam-auto-key-rotation-enforcement.html", ALL_PLACEHOLDERS)])).unwrap();
    for dry_run in [false, true] {
        let digest = Digest { dry_run, now: monday(), ..digest(&[replaced()]) };
        let html = mail(&notices, &digest).html;
        assert!(
            html.starts_with(
                "<p>aws|123456789012|payments-prod|2026-12-07 02:00 UTC|90|10|10|key-rotation@example.com</p><ul>\n<li>deploy, AKIAIOSF0000EXAMPLE7: "
            ),
            "{html}"
        );
    }
}

#[test]
fn actions_is_markup_of_ours_with_everything_of_others_escaped() {
    let notices = with(dir("actions", &[("enforce.html", "{{ actions }}"), ("enforce.txt", "{{ actions }}")])).unwrap();
    let finding = Finding::LookBeforeHarm { key: key(0), why: "<b>bold</b>".to_owned() };
    let digest = digest(&[News::Finding(finding)]);
    let mail = mail(&notices, &digest);
    assert!(mail.html.contains("&lt;b&gt;bold") && !mail.html.contains("<b>"), "{}", mail.html);
    assert!(mail.text.contains("<b>bold</b>") && mail.text.starts_with("- deploy, "), "{}", mail.text);
}

#[test]
fn actions_can_be_gone_through_one_by_one_with_the_documented_values() {
    let each = "{% for a in actions %}{{ a.user_name }}|{{ a.access_key_id }}|{{ a.action }}|{{ a.reason }}|{{ a.due_date }}\
|{{ a.days_left }}|{{ a.last_used }}|{{ a.secret_name }}|{{ a.region }}{% endfor %}|{{ dry_run }}";
    let notices = with(dir("each", &[("enforce.txt", each)])).unwrap();
    assert_eq!(
        mail(&notices, &digest(&[replaced()])).text,
        "deploy|AKIAIOSF0000EXAMPLE7|replaced|The key is 90 days old; access keys are replaced after 90 days.|2026-12-15 02:00 UTC\
|10|2026-12-04 21:00 UTC (yesterday), s3 in eu-west-1|Account_123456789012_User_deploy_AccessKey|eu-west-1|False"
    );
}

#[test]
fn a_file_replaces_the_built_in_one_of_its_name_and_the_others_stay() {
    let notices = with(dir("one", &[("enforce.html", "<p>ours</p>")])).unwrap();
    let enforce = mail(&notices, &digest(&[replaced()]));
    let audit = mail(&notices, &Digest { dry_run: true, now: monday(), ..digest(&[replaced()]) });
    assert_eq!(enforce.html, "<p>ours</p>");
    assert!(enforce.text.contains("What to do:"));
    assert!(audit.html.contains("Audit mode"));
}

#[test]
fn a_template_may_build_on_the_built_in_layout() {
    let ours = "{% extends \"layout.html\" %}{% block intro %}<p>From your platform team</p>{% endblock %}";
    let notices = with(dir("layout", &[("enforce.html", ours)])).unwrap();
    let html = mail(&notices, &digest(&[replaced()])).html;
    assert!(html.contains("From your platform team") && html.contains("AKIAIOSF0000EXAMPLE7"));
}

#[test]
fn a_template_that_does_not_compile_is_refused_with_file_and_line() {
    let said = refusal("syntax", &[("enforce.html", "<p>\n{{ account_id }\n</p>")]);
    assert!(said.starts_with("EMAIL_TEMPLATE_DIR: enforce.html, line 2: "), "{said}");
}

#[test]
fn a_value_that_does_not_exist_is_refused_by_name_with_file_and_line() {
    assert_eq!(
        refusal("value", &[("audit.txt", "one\ntwo {{ acount_id }}")]),
        "EMAIL_TEMPLATE_DIR: audit.txt, line 2: there is no value \"acount_id\" for mails; templates/README.md lists those there are"
    );
}

#[test]
fn a_value_that_does_not_exist_is_found_in_loops_and_in_branches_too() {
    let in_loop = "{% for key in entries %}{% if key.action == 'still in use' %}{{ key.usr }}{% endif %}{% endfor %}";
    let said = refusal("loop", &[("enforce.txt", in_loop)]);
    assert!(said.contains("enforce.txt, line 1") && said.contains("key.usr"), "{said}");
}

#[test]
fn a_directory_that_is_not_there_or_holds_no_template_is_refused() {
    let missing = with(Path::new(env!("CARGO_TARGET_TMPDIR")).join("no-such-directory")).unwrap_err().to_string();
    assert!(missing.contains("no-such-directory cannot be read"), "{missing}");
    let mistyped = refusal("mistyped", &[("enforcement.html", "<p></p>")]);
    assert!(mistyped.contains("holds none of enforce.html, "), "{mistyped}");
}
