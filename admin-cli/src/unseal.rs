//! `unseal`: the passphrase comes from a file, or from the terminal, where it is not shown.

use std::io;

use claviger_protocol::Bytes;
use claviger_protocol::admin::{ArgumentValue, exit};
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};

use crate::client::Client;
use crate::error::{Error, Result};
use crate::{Call, outcome, print, request};

const ARGUMENT: &str = "passphrase-file";

/// Sends the passphrase.
///
/// # Errors
/// There is neither a file nor a terminal; the daemon's.
pub fn run(call: &mut Call<'_, '_>) -> Result<u8> {
    let mut request = request::build(call)?;
    if !request.arguments.iter().any(|(name, _)| name == ARGUMENT) {
        if !call.console.interactive {
            return Err(Error::new(
                exit::CONFIRMATION_NEEDED,
                "there is no terminal to ask for the passphrase on; give --passphrase-file",
            ));
        }
        let passphrase = {
            let _hidden = Hidden::begin();
            call.console.ask("Passphrase: ")?
        };
        call.console.say("");
        let passphrase = zeroize::Zeroizing::new(passphrase);
        request
            .arguments
            .push((ARGUMENT.to_owned(), ArgumentValue::Bytes(Bytes::from(passphrase.as_bytes()))));
    }
    let mut client = Client::connect(&call.options.socket)?;
    let document = client.call(call.verb, &request)?;
    print::print(call, &document)?;
    outcome::of(&document)
}

/// The terminal shows nothing of what is typed until this is dropped.
struct Hidden(Option<Termios>);

impl Hidden {
    fn begin() -> Hidden {
        let before = tcgetattr(io::stdin()).ok();
        if let Some(before) = &before {
            let mut quiet = before.clone();
            quiet.local_flags.remove(LocalFlags::ECHO);
            let _ = tcsetattr(io::stdin(), SetArg::TCSAFLUSH, &quiet);
        }
        Hidden(before)
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ = tcsetattr(io::stdin(), SetArg::TCSAFLUSH, before);
        }
    }
}
