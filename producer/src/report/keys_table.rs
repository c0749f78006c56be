//! `keys.csv`: a line a key, for spreadsheets (RFC 4180).

use std::collections::HashMap;
use std::io::{self, Write};

use super::document::{Document, KeyRow, Usage};

const HEADER: &str = "account,account_name,user,access_key_id,status,created,age_days,last_used,last_used_service,\
                      state,exempt_by,exempt_until,next_step,next_step_on";

pub(super) fn write(document: &Document, out: &mut impl Write) -> io::Result<()> {
    let names: HashMap<_, _> =
        document.accounts.iter().map(|account| (&account.id, account.name.as_deref().unwrap_or_default())).collect();
    write!(out, "{HEADER}\r\n")?;
    for key in &document.keys {
        let name = names.get(&key.account).copied().unwrap_or_default();
        write!(out, "{}\r\n", cells(key, name).map(|text| cell(&text)).join(","))?;
    }
    Ok(())
}

fn cells(key: &KeyRow, account_name: &str) -> [String; 14] {
    let last_used = match (key.usage, key.last_used) {
        (Usage::Used, Some(at)) => at.to_string(),
        (Usage::Never, _) => "never".to_owned(),
        (Usage::Unknown | Usage::Used, _) => "unknown".to_owned(),
    };
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    [
        key.account.to_string(),
        account_name.to_owned(),
        key.user.clone(),
        text(key.access_key_id.as_ref().map(|id| id.as_str())),
        key.status.as_str().to_owned(),
        key.created.to_string(),
        key.age_days.to_string(),
        last_used,
        text(key.last_used_service.as_deref()),
        key.state.as_str().to_owned(),
        text(key.exempt.map(|exemption| exemption.by)),
        key.exempt.and_then(|exemption| exemption.until).map(|until| until.to_string()).unwrap_or_default(),
        text(key.next.as_ref().map(|next| next.step)),
        key.next.as_ref().map(|next| next.date.to_string()).unwrap_or_default(),
    ]
}

/// A cell that no spreadsheet takes for a formula: names are other people's. (OWASP, "CSV Injection": a quote before
/// what begins with one of these.)
fn cell(text: &str) -> String {
    let text = match text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        true => format!("'{text}"),
        false => text.to_owned(),
    };
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_quoted_where_it_must_be_and_never_a_formula() {
        assert_eq!(cell("alice"), "alice");
        assert_eq!(cell("a,b"), "\"a,b\"");
        assert_eq!(cell("say \"hi\""), "\"say \"\"hi\"\"\"");
        assert_eq!(cell("=1+1"), "'=1+1");
        assert_eq!(cell("@ops,prod"), "\"'@ops,prod\"");
    }
}
