//! `purge`, `root rotate`, `store verify`, `unseal`, `backup ...`: the daemon's own store.

use openssl::base64::encode_block;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::Call;
use crate::backups::MadeBackup;
use crate::error::{Error, Result};
use crate::kms::keys::parse_duration;
use crate::kms::rings::new_uid;
use crate::kms::time::Time;
use crate::store::{self, Contents, ROOT_KEY_BYTES, SealedFor};

/// `purge`
pub fn purge(call: &Call<'_>) -> Result<Value> {
    if !call.args.flag("now") {
        let message = "the daemon purges once a day by itself; give --now to do it at once".to_owned();
        return Err(Error::InvalidArgument { message });
    }
    let purged = call.daemon.purge(&call.principal())?;
    Ok(json!({
        "epoch": purged.epoch,
        "purgedMaterials": purged.erased,
        "rewrappedRecords": purged.rewrapped,
    }))
}

/// `root rotate`
pub fn rotate_root(call: &Call<'_>) -> Result<Value> {
    let args = &call.args;
    let source = call.daemon.root_source.get().ok_or_else(|| Error::FailedPrecondition {
        message: "this daemon's root key ends with the process".to_owned(),
    })?;
    let new = match args.bytes("new-root-key-file") {
        None => None,
        Some(bytes) => {
            let key: [u8; ROOT_KEY_BYTES] =
                bytes.as_ref().try_into().map_err(|_| Error::InvalidArgument {
                    message: format!("a root key is {ROOT_KEY_BYTES} bytes, the file has {}", bytes.len()),
                })?;
            Some(Zeroizing::new(key))
        }
    };
    let passphrase = passphrase(call)?;
    source.rotate(&call.daemon.records, new, passphrase.as_ref().map(|passphrase| passphrase.as_slice()))?;
    let next = match source {
        store::RootSource::File { path, .. } => format!("{} holds the new root key", path.display()),
        store::RootSource::Credential => {
            "the next start needs the new key as the credential root-key; the old one opens nothing any more"
                .to_owned()
        }
        store::RootSource::Passphrase => "the new root key is under the passphrase that was given".to_owned(),
    };
    Ok(json!({"rotated": true, "next": next}))
}

/// `store verify`
pub fn verify(call: &Call<'_>) -> Result<Value> {
    let findings = call.daemon.records.examine()?;
    let faults: Vec<String> = findings.faults.iter().map(ToString::to_string).collect();
    Ok(json!({
        "success": findings.is_whole(),
        "records": findings.tally.total(),
        "revision": findings.reached,
        "acknowledgedRevision": findings.acknowledged,
        "faults": faults,
    }))
}

/// `unseal`, of a daemon that is not sealed; a sealed one answers by itself (`sealed.rs`).
pub fn unseal(_call: &Call<'_>) -> Result<Value> {
    Err(Error::FailedPrecondition { message: "the daemon is not sealed".to_owned() })
}

/// `backup create`
pub fn create_backup(call: &Call<'_>) -> Result<Value> {
    let recipient = match call.args.bytes("recipient-file") {
        Some(pem) => Some(store::recipient(pem).map_err(|what| Error::InvalidArgument {
            message: format!("the file of the recipient {what}"),
        })?),
        None => None,
    };
    let sealed_for = SealedFor { passphrase: passphrase(call)?, recipient };
    if sealed_for.passphrase.is_none() && sealed_for.recipient.is_none() {
        let message = "give --passphrase-file, --recipient-file, or both to need both".to_owned();
        return Err(Error::InvalidArgument { message });
    }
    let life = call.args.text("expire-after").map(parse_duration).transpose()?;
    let life = life.unwrap_or(call.daemon.settings.default_destroy_scheduled_duration);
    let ready = call.daemon.make_backup(&sealed_for, call.peer.uid)?;
    let Contents { about, records, materials, tombstones } = ready.contents;
    let created = Time(i64::try_from(about.created).unwrap_or(i64::MAX));
    let by = crate::audit::user_name(call.peer.uid);
    let made = call.daemon.list_backup(MadeBackup {
        id: new_uid()?,
        created,
        expires: call.now.plus_millis(life),
        by,
        revision: about.revision,
        materials,
        passphrase: sealed_for.passphrase.is_some(),
        recipient: sealed_for.recipient.is_some(),
    })?;
    Ok(json!({
        "id": ready.id.to_string(),
        "backup": made.name(),
        "size": ready.size,
        "createTime": created.rfc3339(),
        "expireTime": made.expires.rfc3339(),
        "revision": about.revision,
        "records": records,
        "materials": materials,
        "tombstones": tombstones,
    }))
}

/// `backup read`
pub fn read_backup(call: &Call<'_>) -> Result<Value> {
    let missing = || Error::InvalidArgument { message: "id and position are numbers".to_owned() };
    let id = call.args.number("id")?.ok_or_else(missing)?;
    let position = call.args.number("position")?.ok_or_else(missing)?;
    let part = call.daemon.read_backup(id, position, call.peer.uid)?;
    Ok(json!({"data": encode_block(&part)}))
}

/// `backup list`
pub fn list_backups(call: &Call<'_>) -> Result<Value> {
    let shown = |made: &MadeBackup| !call.args.flag("expired") || made.expires <= call.now;
    let backups = call.daemon.made_backups()?;
    Ok(backups.iter().filter(|made| shown(made)).map(|made| show(call, made)).collect())
}

/// `backup forget`
pub fn forget_backup(call: &Call<'_>) -> Result<Value> {
    let forgotten = call.daemon.forget_backup(call.args.required("backup")?)?;
    Ok(show(call, &forgotten))
}

fn show(call: &Call<'_>, made: &MadeBackup) -> Value {
    let sealed_for = match (made.passphrase, made.recipient) {
        (true, true) => "passphrase and recipient",
        (true, false) => "passphrase",
        _ => "recipient",
    };
    json!({
        "backup": made.name(),
        "createTime": made.created.rfc3339(),
        "expireTime": made.expires.rfc3339(),
        "state": if made.expires <= call.now { "EXPIRED" } else { "CURRENT" },
        "sealedFor": sealed_for,
        "createdBy": made.by,
        "revision": made.revision,
        "materials": made.materials,
        "destroyedSince": call.daemon.destroyed_since(made.created, call.now),
    })
}

fn passphrase(call: &Call<'_>) -> Result<Option<Zeroizing<Vec<u8>>>> {
    let line = call.args.bytes("passphrase-file").map(|bytes| store::first_line(bytes));
    line.transpose().map_err(|what| Error::InvalidArgument { message: format!("the passphrase-file {what}") })
}
