//! Chapter 5.4: general purpose functions.

use std::ffi::CStr;

use claviger_protocol::{Result, Rv};

use super::slot_token::padded;
use crate::library::LIBRARY;
use crate::ptr::{InitializeArgs, OutList, Place};
use crate::sys::{CK_FLAGS, CK_FUNCTION_LIST, CK_INFO, CK_INTERFACE, CK_VERSION};

const MANUFACTURER: &str = "Claviger";
const DESCRIPTION: &str = "Claviger PKCS#11";

/// The name of every standard interface (PKCS#11 3.2, section 5.4.6).
pub const INTERFACE_NAME: &CStr = c"PKCS 11";

/// The version of this module.
const LIBRARY_VERSION: CK_VERSION = CK_VERSION {
    major: number(env!("CARGO_PKG_VERSION_MAJOR")),
    minor: number(env!("CARGO_PKG_VERSION_MINOR")),
};

/// A number of cargo's.
const fn number(digits: &str) -> u8 {
    let mut value = 0;
    let mut i = 0;
    while i < digits.len() {
        value = value * 10 + (digits.as_bytes()[i] - b'0');
        i += 1;
    }
    value
}

/// `C_Initialize`. The callbacks are checked and not used: our own locks are right on this platform, whatever
/// the application says about its threads.
pub fn initialize(args: Option<InitializeArgs>) -> Result<()> {
    if let Some(args) = args
        && (args.reserved || !matches!(args.mutex_callbacks, 0 | 4))
    {
        return Err(Rv::ARGUMENTS_BAD);
    }
    LIBRARY.initialize()
}

/// `C_Finalize`.
pub fn finalize(reserved: bool) -> Result<()> {
    if reserved {
        return Err(Rv::ARGUMENTS_BAD);
    }
    LIBRARY.finalize()
}

/// `C_GetInfo`, of the interface with this version.
pub fn get_info(version: CK_VERSION, info: Place<CK_INFO>) -> Result<()> {
    info.write(CK_INFO {
        cryptokiVersion: version,
        manufacturerID: padded(MANUFACTURER.as_bytes()),
        flags: 0,
        libraryDescription: padded(DESCRIPTION.as_bytes()),
        libraryVersion: LIBRARY_VERSION,
    });
    Ok(())
}

/// One of our interfaces, with the version of its function list.
pub struct Interface {
    /// What the application gets.
    pub raw: CK_INTERFACE,
    /// Its function list's version.
    pub version: CK_VERSION,
}

/// `C_GetFunctionList`.
pub fn get_function_list(list: &'static CK_FUNCTION_LIST, place: Place<*mut CK_FUNCTION_LIST>) -> Result<()> {
    place.write((&raw const *list).cast_mut());
    Ok(())
}

/// `C_GetInterfaceList`.
pub fn get_interface_list(interfaces: &[Interface], list: OutList<CK_INTERFACE>) -> Result<()> {
    let raw: Vec<CK_INTERFACE> = interfaces.iter().map(|interface| interface.raw).collect();
    list.write(&raw)
}

/// `C_GetInterface`: the first interface that has what is asked for. No name asks for the default one.
pub fn get_interface(
    interfaces: &'static [Interface],
    name: Option<&CStr>,
    version: Option<CK_VERSION>,
    flags: CK_FLAGS,
    place: Place<*mut CK_INTERFACE>,
) -> Result<()> {
    let is_named = name.is_none_or(|name| name == INTERFACE_NAME);
    let found = interfaces.iter().find(|interface| {
        is_named
            && version
                .is_none_or(|v| (v.major, v.minor) == (interface.version.major, interface.version.minor))
            && flags & interface.raw.flags == flags
    });
    place.write((&raw const found.ok_or(Rv::FUNCTION_FAILED)?.raw).cast_mut());
    Ok(())
}
