//! Comma-separated values (RFC 4180, with the line breaks of Unix).

use claviger_protocol::admin::Column;
use serde_json::Value;

use super::{field, flatten, items, plain};

/// A line with the fields' names, then a line for each item. The fields are the columns', or all there are.
pub fn csv(document: &Value, columns: &[Column]) -> String {
    let items = items(document);
    let mut names: Vec<String> = columns.iter().map(|column| column.field.to_owned()).collect();
    if names.is_empty() {
        for (name, _) in items.iter().flat_map(flatten) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    let line =
        |cells: Vec<String>| cells.iter().map(|cell| quoted(cell)).collect::<Vec<_>>().join(",") + "\n";
    let body = items.iter().map(|item| {
        line(names.iter().map(|name| field(item, name).map(plain).unwrap_or_default()).collect())
    });
    std::iter::once(line(names.clone())).chain(body).collect()
}

fn quoted(cell: &str) -> String {
    if cell.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::command::verb;

    #[test]
    fn cells_that_need_quotes_have_them() {
        let rings = json!([{"name": "r", "tokenLabel": "a,\"b\"\nc", "slot": 0}]);
        assert_eq!(
            csv(&rings, verb("keyrings list").columns),
            "name,tokenLabel,tokenSerial,slot,profile,createTime\nr,\"a,\"\"b\"\"\nc\",,0,,\n"
        );
        assert_eq!(csv(&json!({"version": "1", "keys": {"count": 2}}), &[]), "keys.count,version\n2,1\n");
    }
}
