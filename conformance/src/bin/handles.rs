//! Prints "handle class label" of every object in a token, sorted: `conformance-handles MODULE TOKEN-LABEL`.
//! The PIN is in the environment variable PIN. Shows that handles survive a restart of the daemon.

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::object::{Attribute, AttributeType};
use cryptoki::session::UserType;
use cryptoki::types::AuthPin;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [module, label] = arguments.as_slice() else {
        return Err("usage: PIN=... conformance-handles MODULE TOKEN-LABEL".into());
    };
    let pin = AuthPin::new(std::env::var("PIN")?.into());
    let pkcs11 = Pkcs11::new(module)?;
    pkcs11.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK))?;
    let mut token = None;
    for slot in pkcs11.get_slots_with_token()? {
        if pkcs11.get_token_info(slot)?.label() == label {
            token = Some(slot);
        }
    }
    let session = pkcs11.open_ro_session(token.ok_or("no such token")?)?;
    session.login(UserType::User, Some(&pin))?;
    let mut objects = session.find_objects(&[])?;
    objects.sort_by_key(|object| object.handle());
    for object in objects {
        let mut class = String::new();
        let mut name = String::new();
        for attribute in session.get_attributes(object, &[AttributeType::Class, AttributeType::Label])? {
            match attribute {
                Attribute::Class(value) => class = value.to_string(),
                Attribute::Label(value) => name = String::from_utf8_lossy(&value).into_owned(),
                _ => {}
            }
        }
        println!("{} {class} {name}", object.handle());
    }
    session.close()?;
    pkcs11.finalize()?;
    Ok(())
}
