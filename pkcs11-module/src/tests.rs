//! The C functions themselves, called through the lists that an application gets. One test does what needs the
//! library's state: it is one per process.

use std::ptr::null_mut;

use claviger_protocol::Rv;

use super::*;

const OK: CK_RV = Rv::OK.0;
const NOT_INITIALIZED: CK_RV = Rv::CRYPTOKI_NOT_INITIALIZED.0;
const ARGUMENTS_BAD: CK_RV = Rv::ARGUMENTS_BAD.0;

fn get_interface(
    name: Option<&std::ffi::CStr>,
    version: Option<(u8, u8)>,
    flags: CK_FLAGS,
) -> Result<CK_INTERFACE, CK_RV> {
    let mut version = version.map(|(major, minor)| CK_VERSION { major, minor });
    let mut interface = null_mut();
    let name = name.map_or(null_mut(), |name| name.as_ptr().cast_mut().cast());
    let version = version.as_mut().map_or(null_mut(), |version| &raw mut *version);
    // SAFETY: pointers to locals or NULL; on success the interface is one of our statics.
    match unsafe { C_GetInterface(name, version, &mut interface, flags) } {
        OK => Ok(unsafe { *interface }),
        rv => Err(rv),
    }
}

fn version_of(interface: &CK_INTERFACE) -> (u8, u8) {
    // SAFETY: every function list begins with its version.
    let version = unsafe { *interface.pFunctionList.cast::<CK_VERSION>() };
    (version.major, version.minor)
}

#[test]
fn interfaces_are_found_by_name_version_and_flags() {
    let failed = Rv::FUNCTION_FAILED.0;
    let version = |asked| get_interface(Some(c"PKCS 11"), asked, 0).map(|found| version_of(&found));
    assert_eq!(get_interface(None, None, 0).map(|found| version_of(&found)), Ok((3, 2)));
    assert_eq!(version(None), Ok((3, 2)));
    for known in [(2, 40), (3, 0), (3, 2)] {
        assert_eq!(version(Some(known)), Ok(known));
    }
    assert_eq!(version(Some((3, 1))), Err(failed));
    assert_eq!(get_interface(Some(c"Vendor"), None, 0).err(), Some(failed));
    assert!(get_interface(None, None, CKF_INTERFACE_FORK_SAFE).is_ok());
    assert_eq!(get_interface(None, None, 2).err(), Some(failed));
    // SAFETY: NULL is what is tested.
    assert_eq!(unsafe { C_GetInterface(null_mut(), null_mut(), null_mut(), 0) }, ARGUMENTS_BAD);
}

#[test]
fn the_interface_list_is_sized_then_filled() {
    let mut count: CK_ULONG = 0;
    // SAFETY: the array is as long as the count says.
    unsafe {
        assert_eq!(C_GetInterfaceList(null_mut(), &mut count), OK);
        assert_eq!(count, 3);
        let empty = CK_INTERFACE { pInterfaceName: null_mut(), pFunctionList: null_mut(), flags: 0 };
        let mut list = [empty; 3];
        count = 2;
        assert_eq!(C_GetInterfaceList(list.as_mut_ptr(), &mut count), Rv::BUFFER_TOO_SMALL.0);
        count = 3;
        assert_eq!(C_GetInterfaceList(list.as_mut_ptr(), &mut count), OK);
        assert_eq!(list.each_ref().map(version_of), [(3, 2), (3, 0), (2, 40)]);
        assert_eq!(C_GetInterfaceList(null_mut(), null_mut()), ARGUMENTS_BAD);
    }
}

/// Every entry of every list is filled: read as words, after the version.
#[test]
fn no_entry_is_missing() {
    fn words<T>(list: &T) -> &[usize] {
        // SAFETY: a version, padded to a word, then function pointers.
        unsafe { std::slice::from_raw_parts((&raw const *list).cast(), size_of::<T>() / size_of::<usize>()) }
    }
    assert_eq!(words(&FUNCTION_LIST_2_40).len(), 1 + 68);
    assert_eq!(words(&FUNCTION_LIST_3_0).len(), 1 + 68 + 24);
    assert_eq!(words(&FUNCTION_LIST_3_2).len(), 1 + 68 + 24 + 12);
    for list in [words(&FUNCTION_LIST_2_40), words(&FUNCTION_LIST_3_0), words(&FUNCTION_LIST_3_2)] {
        assert!(list[1..].iter().all(|entry| *entry != 0));
    }
}

#[test]
fn the_library_s_life() {
    let mut list = null_mut();
    let mut info = std::mem::MaybeUninit::<CK_INFO>::zeroed();
    let mut count: CK_ULONG = 5;
    // SAFETY: pointers to locals of the right types, or NULL, which is what is tested.
    unsafe {
        assert_eq!(C_GetFunctionList(null_mut()), ARGUMENTS_BAD);
        assert_eq!(C_GetFunctionList(&mut list), OK);
        let list = &*list;
        assert_eq!((list.version.major, list.version.minor), (2, 40));

        assert_eq!(C_GetInfo(info.as_mut_ptr()), NOT_INITIALIZED);
        assert_eq!(C_GetSlotList(1, null_mut(), &mut count), NOT_INITIALIZED);
        assert_eq!(C_CancelFunction(0), NOT_INITIALIZED);
        assert_eq!(C_MessageVerifyFinal(0), NOT_INITIALIZED);
        assert_eq!(C_Finalize(null_mut()), NOT_INITIALIZED);

        unsafe extern "C" fn mutex(_: CK_VOID_PTR) -> CK_RV {
            0
        }
        let mut args = CK_C_INITIALIZE_ARGS { pReserved: (&raw mut count).cast(), ..Default::default() };
        assert_eq!(C_Initialize((&raw mut args).cast()), ARGUMENTS_BAD);
        args.pReserved = null_mut();
        args.LockMutex = Some(mutex);
        assert_eq!(C_Initialize((&raw mut args).cast()), ARGUMENTS_BAD);
        args.LockMutex = None;
        args.flags = 3;
        // No daemon in a unit test's environment, or one that is not asked for anything.
        assert_eq!(C_Initialize((&raw mut args).cast()), OK);
        assert_eq!(C_Initialize(null_mut()), Rv::CRYPTOKI_ALREADY_INITIALIZED.0);

        for (function, version) in [
            (FUNCTION_LIST_2_40.C_GetInfo, (2, 40)),
            (FUNCTION_LIST_3_0.C_GetInfo, (3, 0)),
            (FUNCTION_LIST_3_2.v3_0.C_GetInfo, (3, 2)),
        ] {
            assert_eq!(function.unwrap()(info.as_mut_ptr()), OK);
            let info = info.assume_init();
            assert_eq!((info.cryptokiVersion.major, info.cryptokiVersion.minor), version);
            assert_eq!(&info.manufacturerID, b"Claviger                        ");
            assert_eq!(&info.libraryDescription, b"Claviger PKCS#11                ");
        }
        assert_eq!(C_GetInfo(null_mut()), ARGUMENTS_BAD);
        assert_eq!(C_GetFunctionStatus(0), Rv::FUNCTION_NOT_PARALLEL.0);
        assert_eq!(C_CancelFunction(0), Rv::FUNCTION_NOT_PARALLEL.0);
        assert_eq!(C_MessageVerifyFinal(0), Rv::FUNCTION_NOT_SUPPORTED.0);
        assert_eq!(C_GetSlotList(1, null_mut(), null_mut()), ARGUMENTS_BAD);
        assert_eq!(C_WaitForSlotEvent(1, &mut count, (&raw mut count).cast()), ARGUMENTS_BAD);

        assert_eq!(C_Finalize((&raw mut count).cast()), ARGUMENTS_BAD);
        assert_eq!(C_Finalize(null_mut()), OK);
        assert_eq!(C_Finalize(null_mut()), NOT_INITIALIZED);
        assert_eq!(C_GetInfo(info.as_mut_ptr()), NOT_INITIALIZED);
    }
}
