//! What the program exits with after it has printed a document.

use claviger_protocol::admin::{Code, exit};
use serde_json::Value;

use crate::error::{Error, Result};

/// The exit code of a document.
///
/// A batch is an array whose items say `ok`: one item that failed has its own code, several have one for all
/// (`PARTLY_FAILED`).
///
/// # Errors
/// The batch's failure, or a verification that said no.
pub fn of(document: &Value) -> Result<u8> {
    if document.get("success") == Some(&Value::Bool(false)) {
        return Err(Error::new(exit::NOT_VERIFIED, "not verified"));
    }
    let items = document.as_array().map_or(&[][..], Vec::as_slice);
    let failed: Vec<&Value> = items.iter().filter(|item| failed(item)).collect();
    match (failed.as_slice(), items.len()) {
        ([], _) => Ok(0),
        ([item], 1) => Err(Error::new(code(item).exit_code(), message(item))),
        ([first, ..], all) => {
            let text = format!("{} of {all} failed, the first because: {}", failed.len(), message(first));
            Err(Error::new(exit::PARTLY_FAILED, text))
        }
    }
}

fn failed(item: &Value) -> bool {
    item.get("error").is_some_and(|error| !error.is_null()) || item.get("ok") == Some(&Value::Bool(false))
}

fn code(item: &Value) -> Code {
    item.pointer("/error/code").and_then(Value::as_str).and_then(Code::from_name).unwrap_or(Code::Internal)
}

fn message(item: &Value) -> &str {
    item.pointer("/error/message").and_then(Value::as_str).unwrap_or("the daemon gave no reason")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn bad(code: &str) -> Value {
        json!({"name": "1", "ok": false, "error": {"code": code, "message": "m", "reason": "r"}})
    }

    #[test]
    fn a_batch_of_one_has_its_own_code_and_several_share_one() {
        let good = json!({"name": "1", "ok": true});
        assert_eq!(of(&json!([])), Ok(0));
        assert_eq!(of(&json!([good, good])), Ok(0));
        assert_eq!(of(&json!([bad("NOT_FOUND")])), Err(Error::new(4, "m")));
        assert_eq!(of(&json!([bad("FAILED_PRECONDITION")])), Err(Error::new(7, "m")));
        assert_eq!(of(&json!([bad("no such code")])), Err(Error::new(1, "m")));
        assert_eq!(
            of(&json!([bad("NOT_FOUND"), good])),
            Err(Error::new(7, "1 of 2 failed, the first because: m"))
        );
        assert_eq!(
            of(&json!([bad("NOT_FOUND"), bad("NOT_FOUND")])),
            Err(Error::new(7, "2 of 2 failed, the first because: m"))
        );
    }

    #[test]
    fn other_documents_are_no_batch() {
        assert_eq!(of(&json!({"name": "r"})), Ok(0));
        assert_eq!(of(&json!([{"name": "r"}])), Ok(0));
        assert_eq!(of(&json!({"success": true})), Ok(0));
        assert_eq!(of(&json!({"success": false})).unwrap_err().exit, 13);
    }
}
