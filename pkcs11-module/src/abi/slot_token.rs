//! Chapter 5.5: slot and token management.

use claviger_protocol::call::{
    GetMechanismInfo, GetMechanismList, GetSlotInfo, GetSlotList, GetTokenInfo, InitPin, InitToken, SetPin,
    WaitForSlotEvent,
};
use claviger_protocol::{MechanismType, Result, Rv};

use crate::client::Client;
use crate::ptr::{In, OutList, Place};
use crate::sys::{
    CK_BBOOL, CK_FLAGS, CK_MECHANISM_INFO, CK_MECHANISM_TYPE, CK_SLOT_ID, CK_SLOT_INFO, CK_TOKEN_INFO,
    CK_UNAVAILABLE_INFORMATION, CK_VERSION, CKF_DONT_BLOCK,
};

/// Text as the structures of the standard have it: cut at a whole character if too long, then blanks.
pub fn padded<const N: usize>(text: &[u8]) -> [u8; N] {
    let mut length = text.len().min(N);
    if length < text.len() {
        // Bytes 0b10xxxxxx continue a character (RFC 3629, section 3).
        while length > 0 && text[length] & 0xc0 == 0x80 {
            length -= 1;
        }
    }
    let mut padded = [b' '; N];
    padded[..length].copy_from_slice(&text[..length]);
    padded
}

fn version((major, minor): (u8, u8)) -> CK_VERSION {
    CK_VERSION { major, minor }
}

/// `C_GetSlotList`. Without a daemon there are no slots, which is no error.
pub fn get_slot_list(client: &Client, token_present: CK_BBOOL, list: OutList<CK_SLOT_ID>) -> Result<()> {
    match client.ask(&GetSlotList { token_present: token_present != 0 }, None) {
        Err(Rv::DEVICE_REMOVED) => list.write(&[]),
        slots => list.write(&slots?),
    }
}

/// `C_GetSlotInfo`.
pub fn get_slot_info(client: &Client, slot: u64, info: Place<CK_SLOT_INFO>) -> Result<()> {
    let reply = client.ask(&GetSlotInfo { slot }, None)?;
    info.write(CK_SLOT_INFO {
        slotDescription: padded(reply.description.as_bytes()),
        manufacturerID: padded(reply.manufacturer.as_bytes()),
        flags: reply.flags,
        hardwareVersion: version(reply.hardware_version),
        firmwareVersion: version(reply.firmware_version),
    });
    Ok(())
}

/// `C_GetTokenInfo`. The token's memory has no limit worth a number.
pub fn get_token_info(client: &Client, slot: u64, info: Place<CK_TOKEN_INFO>) -> Result<()> {
    let reply = client.ask(&GetTokenInfo { slot }, None)?;
    info.write(CK_TOKEN_INFO {
        label: padded(&reply.label),
        manufacturerID: padded(reply.manufacturer.as_bytes()),
        model: padded(reply.model.as_bytes()),
        serialNumber: padded(reply.serial_number.as_bytes()),
        flags: reply.flags,
        ulMaxSessionCount: reply.max_session_count,
        ulSessionCount: reply.session_count,
        ulMaxRwSessionCount: reply.max_rw_session_count,
        ulRwSessionCount: reply.rw_session_count,
        ulMaxPinLen: reply.max_pin_len,
        ulMinPinLen: reply.min_pin_len,
        ulTotalPublicMemory: CK_UNAVAILABLE_INFORMATION,
        ulFreePublicMemory: CK_UNAVAILABLE_INFORMATION,
        ulTotalPrivateMemory: CK_UNAVAILABLE_INFORMATION,
        ulFreePrivateMemory: CK_UNAVAILABLE_INFORMATION,
        hardwareVersion: version(reply.hardware_version),
        firmwareVersion: version(reply.firmware_version),
        utcTime: reply.utc_time,
    });
    Ok(())
}

/// `C_WaitForSlotEvent`. Without a daemon nothing happens to slots that one could be told without waiting.
pub fn wait_for_slot_event(
    client: &Client,
    flags: CK_FLAGS,
    slot: Place<CK_SLOT_ID>,
    reserved: bool,
) -> Result<()> {
    if reserved {
        return Err(Rv::ARGUMENTS_BAD);
    }
    if flags & CKF_DONT_BLOCK == 0 {
        slot.write(client.wait(&WaitForSlotEvent { block: true })?);
        return Ok(());
    }
    match client.call(&WaitForSlotEvent { block: false }) {
        Err(Rv::DEVICE_REMOVED) => Err(Rv::NO_EVENT),
        event => {
            slot.write(event?);
            Ok(())
        }
    }
}

/// `C_GetMechanismList`.
pub fn get_mechanism_list(client: &Client, slot: u64, list: OutList<CK_MECHANISM_TYPE>) -> Result<()> {
    let mechanisms = client.ask(&GetMechanismList { slot }, None)?;
    let numbers: Vec<CK_MECHANISM_TYPE> = mechanisms.iter().map(|mechanism| mechanism.0).collect();
    list.write(&numbers)
}

/// `C_GetMechanismInfo`.
pub fn get_mechanism_info(
    client: &Client,
    slot: u64,
    mechanism: CK_MECHANISM_TYPE,
    info: Place<CK_MECHANISM_INFO>,
) -> Result<()> {
    let reply = client.ask(&GetMechanismInfo { slot, mechanism: MechanismType(mechanism) }, None)?;
    info.write(CK_MECHANISM_INFO {
        ulMinKeySize: reply.min_key_size,
        ulMaxKeySize: reply.max_key_size,
        flags: reply.flags,
    });
    Ok(())
}

/// `C_InitToken`.
pub fn init_token(client: &Client, slot: u64, pin: In, label: [u8; 32]) -> Result<()> {
    client.call(&InitToken { slot, pin: pin.pin()?, label })
}

/// `C_InitPIN`.
pub fn init_pin(client: &Client, session: u64, pin: In) -> Result<()> {
    client.call(&InitPin { session, pin: pin.pin()? })
}

/// `C_SetPIN`.
pub fn set_pin(client: &Client, session: u64, old_pin: In, new_pin: In) -> Result<()> {
    client.call(&SetPin { session, old_pin: old_pin.pin()?, new_pin: new_pin.pin()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_padded_with_blanks_and_cut_at_characters() {
        assert_eq!(&padded::<6>(b"abc"), b"abc   ");
        assert_eq!(&padded::<3>(b"abcd"), b"abc");
        assert_eq!(&padded::<3>("aéé".as_bytes()), "aé".as_bytes());
        assert_eq!(&padded::<4>("aéé".as_bytes()), "aé ".as_bytes());
        assert_eq!(&padded::<5>("aéé".as_bytes()), "aéé".as_bytes());
        assert_eq!(&padded::<2>(&[0x80, 0x80, 0x80]), b"  ");
    }
}
