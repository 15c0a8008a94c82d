//! The import of clouds without import jobs: `keys get-parameters-for-import`, `keys import-key-material`,
//! `keys delete-imported-key-material`.

use serde_json::{Value, json};

use super::keys::parse_time;
use super::{Call, json};
use crate::error::{Error, Result};
use crate::kms::algorithm::quoted;
use crate::kms::import::ImportMethod;
use crate::kms::record::Uid;
use crate::kms::upkeep::check_managed;
use crate::object::HexUid;

/// `keys get-parameters-for-import`
pub fn parameters(call: &Call<'_>) -> Result<Value> {
    let (token, key) = call.named_key("name")?;
    let method = ImportMethod::parse(call.args.text("wrapping-algorithm").unwrap_or("rsaes-oaep-sha-256"))?;
    let job = call.daemon.parameters_for_import(&token, &key, method, call.now)?;
    let public_key = job.public_key.as_deref().map(json::pem).transpose()?;
    Ok(json!({
        "name": &*key.name,
        "importToken": HexUid::from(&job.uid).0,
        "wrappingAlgorithm": method.name(),
        "wrappingKeySpec": method.key_spec(),
        "publicKey": public_key,
        "parametersValidTo": job.expire_time.rfc3339(),
    }))
}

/// `keys import-key-material`
pub fn import(call: &Call<'_>) -> Result<Value> {
    let (token, key) = call.named_key("name")?;
    let job = import_token(call.args.required("import-token")?)?;
    let blob = call.args.bytes("wrapped-key-file").ok_or_else(|| Error::InvalidArgument {
        message: "keys import-key-material needs the wrapped key".to_owned(),
    })?;
    let end = call.args.text("valid-to").map(|text| parse_time(text, call.now)).transpose()?;
    let version = call.daemon.import_key_material(&token, &key, &job, blob, end, call.now)?;
    Ok(json::version(&key, &version, call.now))
}

/// `keys delete-imported-key-material`
pub fn delete(call: &Call<'_>) -> Result<Value> {
    let (_, key) = call.named_key("name")?;
    check_managed(&key.name, &key.record(), &call.principal())?;
    call.daemon.delete_imported_key_material(&key, call.now)?;
    Ok(json::key(&key, call.now))
}

fn import_token(text: &str) -> Result<Uid> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let bytes: Option<Vec<u8>> = digits.map(|digits| {
        digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect()
    });
    bytes.filter(|_| text.len() == 32).and_then(|bytes| Uid::try_from(bytes).ok()).ok_or_else(|| {
        Error::InvalidArgument {
            message: format!("{} is no import token: keys get-parameters-for-import gives one", quoted(text)),
        }
    })
}
