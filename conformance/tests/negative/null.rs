//! NULL where something must be.

use claviger_conformance::prelude::*;
use claviger_conformance::raw::null::{self, Place};

use crate::sheet::Sheet;
use crate::world::World;

pub fn cases(sheet: &mut Sheet) {
    let world = World::new();
    let (raw, at) = (world.raw(), Place { slot: world.slot, session: world.session, key: world.aes });
    for row in null::ROWS {
        for operation in row.ends {
            world.start(*operation);
        }
        sheet.expect(row.name, (row.call)(raw, at), row.rv);
        for operation in row.ends {
            // C_GetOperationState belongs to no operation.
            let lives = world.cancel(*operation);
            let expected = row.name.starts_with("GetOperationState");
            let told = if lives == expected { Rv::OK } else { Rv::OPERATION_ACTIVE };
            sheet.sure(format!("{}: {operation:?} ends", row.name), told, Rv::OK);
        }
    }
    let encrypting = [M::AES_CBC, M::AES_CBC_PAD, M::AES_CTR, M::AES_GCM, M::AES_CCM, M::AES_OFB];
    let signing = [M::AES_CMAC_GENERAL, M::AES_GMAC];
    let all = encrypting.map(|m| (Operation::Encrypt, m)).into_iter();
    for (operation, mechanism) in all.chain(signing.map(|m| (Operation::Sign, m))) {
        let rv = null::null_parameter(raw, at, operation, mechanism);
        sheet.expect(format!("{mechanism} pParameter"), rv, Rv::MECHANISM_PARAM_INVALID);
    }
}
