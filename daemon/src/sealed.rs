//! A daemon that waits for the passphrase of its root key. To modules it is a slot without a token; an admin can ask
//! how it stands and unseal it. Nothing of the store is read before.

use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use claviger_protocol::admin::{self, ArgumentValue};
use claviger_protocol::call::{Call, Finalize, GetSlotInfo, GetSlotList, SlotInfo, WaitForSlotEvent};
use claviger_protocol::{Bytes, Rv, codec};
use serde_json::{Value, json};
use tracing::{debug, info, warn};
use zeroize::Zeroizing;

use crate::access::Identity;
use crate::connection::{self, Wire};
use crate::daemon::Daemon;
use crate::error::{Error, Result};
use crate::generation;
use crate::lock;
use crate::server::Peer;
use crate::store;

/// The one slot of a sealed daemon.
const SLOT: u64 = 0;
/// Between two looks of who waits for a slot event.
const PAUSE: Duration = Duration::from_millis(200);
/// Numbers of the verbs that a sealed daemon knows.
const STATUS: u16 = 1;
const UNSEAL: u16 = 143;

/// Opens the daemon with a passphrase, or says why not.
type Opener = Box<dyn Fn(&[u8]) -> std::result::Result<Arc<Daemon>, String> + Send>;

/// The daemon, once it is open.
#[derive(Default)]
pub struct Gate {
    daemon: OnceLock<Arc<Daemon>>,
    /// `None` for a daemon that was never sealed. Held while somebody tries.
    opener: Mutex<Option<Opener>>,
    /// Runs after the gate has opened.
    opened: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

impl Gate {
    /// A daemon that is open.
    pub fn open(daemon: Arc<Daemon>) -> Arc<Gate> {
        let gate = Gate::default();
        let _ = gate.daemon.set(daemon);
        Arc::new(gate)
    }

    /// A daemon that `opener` opens with a passphrase.
    pub fn sealed(opener: Opener) -> Arc<Gate> {
        Arc::new(Gate { opener: Mutex::new(Some(opener)), ..Gate::default() })
    }

    /// The daemon, unless it is sealed.
    pub fn daemon(&self) -> Option<&Arc<Daemon>> {
        self.daemon.get()
    }

    /// Has `then` run once the daemon is unsealed: the connections of modules end, so that they ask again.
    pub fn when_opened(&self, then: impl Fn() + Send + Sync + 'static) {
        let _ = self.opened.set(Box::new(then));
    }

    fn unseal(&self, passphrase: &[u8]) -> Result<()> {
        let opener = lock::lock(&self.opener);
        if self.daemon.get().is_some() {
            return Err(Error::FailedPrecondition { message: "the daemon is not sealed".to_owned() });
        }
        let open = opener.as_ref().ok_or(Error::TokenNotPresent)?;
        let daemon = open(passphrase).map_err(|message| Error::FailedPrecondition { message })?;
        let _ = self.daemon.set(daemon);
        drop(opener);
        info!("unsealed");
        generation::changed();
        if let Some(then) = self.opened.get() {
            then();
        }
        Ok(())
    }
}

/// Serves a module of a sealed daemon until it leaves or the daemon is unsealed.
pub fn serve_pkcs11(gate: &Arc<Gate>, stream: UnixStream, peer: Peer) {
    let mut wire = Wire::new(stream);
    let end = wire.hello(|_| Ok(())).and_then(|welcome| match welcome {
        Some(()) => wire.requests(|alive, _, header, body, reply| {
            answer(gate, alive, header.call, body, reply).err().unwrap_or(Rv::OK)
        }),
        None => Ok(()),
    });
    if let Err(error) = end {
        debug!(%error, ?peer, "connection lost");
    }
}

fn answer(
    gate: &Gate,
    alive: &dyn Fn() -> bool,
    call: u16,
    body: &[u8],
    reply: &mut Vec<u8>,
) -> std::result::Result<(), Rv> {
    let malformed = |_| Rv::ARGUMENTS_BAD;
    let too_long = |_| Rv::DEVICE_MEMORY;
    match call {
        GetSlotList::NUMBER => {
            let GetSlotList { token_present } = codec::decode(body).map_err(malformed)?;
            let slots: Vec<u64> = if token_present { Vec::new() } else { vec![SLOT] };
            codec::encode_into(&slots, reply).map_err(too_long)
        }
        GetSlotInfo::NUMBER => {
            let GetSlotInfo { slot } = codec::decode(body).map_err(malformed)?;
            if slot != SLOT {
                return Err(Rv::SLOT_ID_INVALID);
            }
            let info = crate::slot::slot_info(None);
            let info = SlotInfo { description: "Claviger is sealed".to_owned(), flags: 0, ..info };
            codec::encode_into(&info, reply).map_err(too_long)
        }
        WaitForSlotEvent::NUMBER => {
            let WaitForSlotEvent { block, .. } = codec::decode(body).map_err(malformed)?;
            while block && alive() && gate.daemon().is_none() {
                std::thread::sleep(PAUSE);
            }
            if gate.daemon().is_none() {
                return Err(Rv::NO_EVENT);
            }
            codec::encode_into(&SLOT, reply).map_err(too_long)
        }
        Finalize::NUMBER => codec::encode_into(&(), reply).map_err(too_long),
        _ => Err(Rv::TOKEN_NOT_PRESENT),
    }
}

/// Serves an admin of a daemon that is sealed, and goes on when it no longer is.
pub fn serve_admin(gate: &Arc<Gate>, stream: UnixStream, peer: Peer) {
    connection::serve_admin_with(stream, peer, |number, body| match gate.daemon() {
        Some(daemon) => {
            let identity = Arc::new(Identity::of(peer, daemon.access.settings()));
            connection::administer(daemon, &identity, number, body)
        }
        None => administer(gate, peer, number, body),
    });
}

fn administer(gate: &Gate, peer: Peer, number: u16, body: &[u8]) -> Result<Bytes> {
    let document = match number {
        STATUS => json!({
            "version": env!("CARGO_PKG_VERSION"),
            "sealed": true,
            "next": "claviger unseal",
        }),
        UNSEAL => {
            let request: admin::Request = codec::decode(body)
                .map_err(|_| Error::InvalidArgument { message: "the request is malformed".to_owned() })?;
            info!(uid = peer.uid, pid = peer.pid, "unseal");
            gate.unseal(&passphrase(request)?)
                .inspect_err(|error| warn!(uid = peer.uid, %error, "not unsealed"))?;
            json!({"sealed": false})
        }
        _ => return Err(Error::Sealed),
    };
    document_bytes(&document)
}

fn passphrase(request: admin::Request) -> Result<Zeroizing<Vec<u8>>> {
    let bytes = request.arguments.into_iter().find_map(|(name, value)| match value {
        ArgumentValue::Bytes(bytes) if name == "passphrase-file" => Some(bytes),
        _ => None,
    });
    let bytes =
        bytes.ok_or_else(|| Error::InvalidArgument { message: "the passphrase is missing".to_owned() })?;
    store::first_line(&bytes)
        .map_err(|what| Error::InvalidArgument { message: format!("the passphrase-file {what}") })
}

fn document_bytes(document: &Value) -> Result<Bytes> {
    let json = serde_json::to_vec(document).map_err(|e| Error::Internal { detail: e.to_string() })?;
    Ok(json.into())
}
