//! Tables for people.

use claviger_protocol::admin::{Column, Form};
use serde_json::Value;

use super::{field, flatten, last_segment, plain};
use crate::console::printable;

/// How wide a table is on a terminal, in characters.
pub const WIDTH: usize = 100;
/// A column is not cut below this, in characters.
const NARROWEST: usize = 8;
const GAP: &str = "  ";
const ELLIPSIS: char = '…';

/// One line for each item under the columns' headings; nothing for no items.
/// `width` cuts the widest columns of text until the table fits.
pub fn rows(items: &[Value], columns: &[Column], width: Option<usize>) -> String {
    if items.is_empty() {
        return String::new();
    }
    if columns.is_empty() {
        return items.iter().map(|item| list(item, columns)).collect::<Vec<_>>().join("\n");
    }
    let mut lines = vec![columns.iter().map(|column| column.heading.to_owned()).collect::<Vec<_>>()];
    lines.extend(items.iter().map(|item| columns.iter().map(|column| cell(item, column)).collect()));
    let mut widths: Vec<usize> = (0..columns.len())
        .map(|i| lines.iter().map(|line| line[i].chars().count()).max().unwrap_or(0))
        .collect();
    if let Some(width) = width {
        fit(&mut widths, columns, width);
    }
    lines.iter().map(|line| join(line, &widths)).collect()
}

/// One line for each field of an object: the columns' fields first, then the others.
pub fn list(object: &Value, columns: &[Column]) -> String {
    if !object.is_object() {
        return printable(&plain(object)) + "\n";
    }
    let mut fields = flatten(object);
    // A stable sort: what no column names keeps the document's order.
    fields.sort_by_key(|(name, _)| {
        columns.iter().position(|column| column.field == name).unwrap_or(columns.len())
    });
    let indent = fields.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for (name, value) in fields {
        let form =
            columns.iter().find(|column| column.field == name).map_or(Form::Text, |column| column.form);
        // Here names are shown in full.
        let form = if form == Form::Id { Form::Text } else { form };
        let shown = printable(&show(&plain(value), form));
        let mut name = name.as_str();
        for line in shown.trim_end().split('\n') {
            text += format!("{name:indent$}{GAP}{line}").trim_end();
            text += "\n";
            name = "";
        }
    }
    text
}

fn cell(item: &Value, column: &Column) -> String {
    let value = field(item, column.field).map(plain).unwrap_or_default();
    printable(&show(&value, column.form)).replace('\n', "\\n")
}

fn show(text: &str, form: Form) -> String {
    match form {
        Form::Text => text.to_owned(),
        Form::Id => last_segment(text).to_owned(),
        Form::Words => words(text),
        Form::Time => to_the_second(text),
    }
}

/// `DESTROY_SCHEDULED` as "Destroy scheduled". Short words alone are initials and stay: `HSM`.
fn words(name: &str) -> String {
    if name.len() <= 3 {
        return name.to_owned();
    }
    let lower = name.to_lowercase().replace('_', " ");
    let mut letters = lower.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// An RFC 3339 time without its fraction of a second.
fn to_the_second(time: &str) -> String {
    match time.split_once('.') {
        Some((seconds, rest)) => seconds.to_owned() + rest.trim_start_matches(|c: char| c.is_ascii_digit()),
        None => time.to_owned(),
    }
}

/// Takes from the widest column of text until the table fits or none has anything left to give.
fn fit(widths: &mut [usize], columns: &[Column], limit: usize) {
    while widths.iter().sum::<usize>() + GAP.len() * (widths.len() - 1) > limit {
        let texts =
            columns.iter().enumerate().filter(|(_, column)| matches!(column.form, Form::Text | Form::Id));
        let widest = texts.map(|(i, _)| i).filter(|&i| widths[i] > NARROWEST).max_by_key(|&i| widths[i]);
        match widest {
            Some(i) => widths[i] -= 1,
            None => return,
        }
    }
}

fn join(cells: &[String], widths: &[usize]) -> String {
    let cells = cells.iter().zip(widths).map(|(cell, &width)| format!("{:width$}", cut(cell, width)));
    cells.collect::<Vec<_>>().join(GAP).trim_end().to_owned() + "\n"
}

/// The text in `width` characters. A resource name keeps its end, which tells it from others.
fn cut(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length <= width {
        return text.to_owned();
    }
    if text.starts_with("projects/") && !text.contains(' ') {
        return std::iter::once(ELLIPSIS).chain(text.chars().skip(length - (width - 1))).collect();
    }
    text.chars().take(width - 1).chain(std::iter::once(ELLIPSIS)).collect()
}

#[cfg(test)]
mod tests {
    use claviger_protocol::admin::VERBS;
    use serde_json::json;

    use super::*;
    use crate::command::verb;

    #[test]
    fn an_array_is_a_table_under_headings() {
        let versions = json!([
            {"name": "projects/p/cryptoKeyVersions/1", "state": "DESTROY_SCHEDULED", "algorithm": "HMAC_SHA256",
             "protectionLevel": "HSM", "createTime": "2026-07-27T08:09:10.123456Z",
             "destroyTime": "2026-08-26T08:09:10+02:00"},
            {"name": "projects/p/cryptoKeyVersions/10", "state": "ENABLED", "algorithm": "HMAC_SHA256",
             "protectionLevel": "SOFTWARE", "createTime": "2026-07-27T08:09:10Z"},
        ]);
        let table = rows(versions.as_array().unwrap(), verb("keys versions list").columns, None);
        assert_eq!(
            table,
            "VERSION  STATE              ALGORITHM    LEVEL     CREATED               DESTROY TIME\n\
             1        Destroy scheduled  HMAC_SHA256  HSM       2026-07-27T08:09:10Z  2026-08-26T08:09:10+02:00\n\
             10       Enabled            HMAC_SHA256  Software  2026-07-27T08:09:10Z\n"
        );
    }

    #[test]
    fn a_table_fits_a_terminal_whatever_the_texts() {
        let long = |field: &str| json!(format!("projects/{}{field}", "x".repeat(300)));
        for verb in VERBS.iter().filter(|verb| !verb.columns.is_empty()) {
            let mut item = json!({});
            for column in verb.columns.iter().filter(|column| column.form == Form::Text) {
                match column.field.split_once('.') {
                    Some((outer, inner)) => item[outer] = json!({inner: long(inner)}),
                    None => item[column.field] = long(column.field),
                }
            }
            for column in verb.columns.iter().filter(|column| column.form == Form::Time) {
                item[column.field] = json!("2026-07-27T08:09:10.5Z");
            }
            // The longest id.
            item["name"] = json!("k".repeat(63));
            let table = rows(&[item.clone()], verb.columns, Some(WIDTH));
            assert!(table.lines().all(|line| line.chars().count() <= WIDTH), "{}:\n{table}", verb.path);
            let whole = rows(&[item], verb.columns, None);
            let has_text = verb.columns.iter().any(|column| column.form == Form::Text);
            assert!(!whole.contains(ELLIPSIS), "{whole}");
            assert!(!has_text || whole.lines().any(|line| line.len() > 300), "{whole}");
        }
    }

    #[test]
    fn names_keep_their_end_and_texts_their_beginning() {
        assert_eq!(cut("projects/local/keys/12", 8), "…keys/12");
        assert_eq!(cut("a description", 8), "a descr…");
        assert_eq!(cut("short", 8), "short");
    }

    #[test]
    fn an_object_is_a_list_with_the_columns_first() {
        let key = json!({
            "createTime": "2026-07-27T08:09:10.5Z",
            "keyState": "PENDING_IMPORT",
            "labels": {"env": "prod"},
            "name": "projects/p/cryptoKeys/k",
            "pem": "-----BEGIN\nAA\n",
            "versionTemplate": {"algorithm": "HMAC_SHA256"},
        });
        assert_eq!(
            list(&key, verb("keys describe").columns),
            "name                       projects/p/cryptoKeys/k\n\
             versionTemplate.algorithm  HMAC_SHA256\n\
             keyState                   Pending import\n\
             createTime                 2026-07-27T08:09:10Z\n\
             labels.env                 prod\n\
             pem                        -----BEGIN\n\
             \u{20}                          AA\n"
        );
    }

    #[test]
    fn what_the_daemon_holds_cannot_drive_the_terminal() {
        let rings = [json!({"name": "r", "tokenLabel": "a\x1b[2J\nb"})];
        let table = rows(&rings, verb("keyrings list").columns, None);
        assert!(table.contains("a\\u{1b}[2J\\nb"), "{table}");
        assert_eq!(rows(&[], verb("keyrings list").columns, None), "");
    }
}
