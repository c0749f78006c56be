//! What a mail says: the `Simple` form with its parts and headers, and the `Raw` form, which is a whole message.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use serde_json::Value;

use super::bad_request;
use crate::call::ApiError;

/// Headers a simple mail can bring.
const HEADERS_PER_MAIL: usize = 15;

/// The largest mail, in bytes, as it is handed over (40 MB).
const LARGEST_MAIL: usize = 40 * 1024 * 1024;

/// `Content` of `SendEmail`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Content {
    simple: Option<Simple>,
    raw: Option<Raw>,
    template: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Simple {
    subject: Part,
    #[serde(default)]
    body: Body,
    #[serde(default)]
    headers: Vec<Header>,
    #[serde(default)]
    attachments: Vec<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Body {
    text: Option<Part>,
    html: Option<Part>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Part {
    data: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Header {
    name: String,
    value: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Raw {
    data: String,
}

/// A mail's content, checked.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ParsedMail {
    pub(super) subject: String,
    pub(super) text: Option<String>,
    pub(super) html: Option<String>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) raw: Option<String>,
}

impl ParsedMail {
    /// A header's value, by its name in any letter case.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The addresses in a header, separated by commas outside quotes.
    pub(super) fn addresses(&self, name: &str) -> Vec<String> {
        let mut quoted = false;
        let separator = move |c: char| {
            quoted ^= c == '"';
            c == ',' && !quoted
        };
        let Some(value) = self.header(name) else { return Vec::new() };
        value.split(separator).map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
    }
}

impl Content {
    /// The content, or why SES refuses it.
    pub(super) fn letter(self) -> Result<ParsedMail, ApiError> {
        match (self.simple, self.raw, self.template) {
            (Some(simple), None, None) => simple.letter(),
            (None, Some(raw), None) => raw.letter(),
            (None, None, Some(_)) => {
                Err(ApiError::new(501, "NotImplemented", "sandbox: ses:SendEmail with a Template is not supported"))
            }
            _ => Err(bad_request("Content must have exactly one of Simple, Raw and Template.")),
        }
    }
}

impl Simple {
    fn letter(self) -> Result<ParsedMail, ApiError> {
        if !self.attachments.is_empty() {
            return Err(ApiError::new(
                501,
                "NotImplemented",
                "sandbox: ses:SendEmail with Attachments is not supported",
            ));
        }
        // A line break would end the header and begin another, of the sender's choosing.
        if self.subject.data.chars().any(char::is_control) {
            return Err(bad_request("Header 'Subject' contains control characters."));
        }
        if self.headers.len() > HEADERS_PER_MAIL {
            return Err(bad_request(format!("A mail can have {HEADERS_PER_MAIL} headers.")));
        }
        for Header { name, value } in &self.headers {
            let name_fits = (1..=126).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic() && b != b':');
            let value_fits =
                (1..=870).contains(&value.len()) && value.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
            if !name_fits || !value_fits {
                return Err(bad_request(format!("Header '{}' is not valid.", name.escape_debug())));
            }
        }
        let (text, html) = (self.body.text.map(|part| part.data), self.body.html.map(|part| part.data));
        if text.is_none() && html.is_none() {
            return Err(bad_request("The message body must have a Text or an Html part."));
        }
        if text.as_ref().map_or(0, String::len) + html.as_ref().map_or(0, String::len) > LARGEST_MAIL {
            return Err(bad_request("Message length is more than 41943040 bytes long."));
        }
        let headers = self.headers.into_iter().map(|header| (header.name, header.value)).collect();
        Ok(ParsedMail { subject: self.subject.data, text, html, headers, raw: None })
    }
}

impl Raw {
    fn letter(self) -> Result<ParsedMail, ApiError> {
        let bytes = BASE64.decode(&self.data).map_err(|_| bad_request("Raw.Data is not base64."))?;
        if bytes.len() > LARGEST_MAIL {
            return Err(bad_request("Message length is more than 41943040 bytes long."));
        }
        let raw = String::from_utf8_lossy(&bytes).into_owned();
        let headers = headers(&raw);
        let mut letter = ParsedMail { headers, ..ParsedMail::default() };
        letter.subject = letter.header("Subject").unwrap_or_default().to_owned();
        letter.raw = Some(raw);
        Ok(letter)
    }
}

/// The headers of a whole message, folded lines put together.
fn headers(raw: &str) -> Vec<(String, String)> {
    let mut headers: Vec<(String, String)> = Vec::new();
    for line in raw.lines().take_while(|line| !line.is_empty()) {
        match (line.starts_with([' ', '\t']), headers.last_mut()) {
            (true, Some((_, value))) => {
                value.push(' ');
                value.push_str(line.trim());
            }
            (true, None) => {}
            (false, _) => {
                if let Some((name, value)) = line.split_once(':') {
                    headers.push((name.trim().to_owned(), value.trim().to_owned()));
                }
            }
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn letter(content: Value) -> Result<ParsedMail, ApiError> {
        serde_json::from_value::<Content>(content).expect("the form of a content").letter()
    }

    #[test]
    fn a_line_break_in_the_subject_or_a_header_is_refused() {
        let simple = |subject: &str, value: &str| {
            letter(json!({"Simple": {
                "Subject": {"Data": subject},
                "Body": {"Text": {"Data": "t"}},
                "Headers": [{"Name": "X-Run", "Value": value}],
            }}))
        };
        assert!(simple("fine", "fine").is_ok());
        assert_eq!(simple("two\r\nBcc: x@y.z", "fine").map_err(|e| e.code), Err("BadRequestException".to_owned()));
        assert!(simple("fine", "two\r\nBcc: x@y.z").is_err());
    }

    #[test]
    fn a_mail_without_a_body_is_refused() {
        assert!(letter(json!({"Simple": {"Subject": {"Data": "s"}, "Body": {}}})).is_err());
        assert!(letter(json!({})).is_err());
    }

    #[test]
    fn a_raw_mail_is_read_by_its_headers() {
        let raw = "From: a@b.c\r\nTo: \"L, Ada\" <ada@example.com>,\r\n bob@example.com\r\nSubject: Hello\r\n there\r\n\r\nBody: no header";
        let letter = letter(json!({"Raw": {"Data": BASE64.encode(raw)}})).expect("a letter");
        assert_eq!(letter.subject, "Hello there");
        assert_eq!(letter.addresses("to"), ["\"L, Ada\" <ada@example.com>", "bob@example.com"]);
        assert_eq!(letter.header("Body"), None);
    }
}
