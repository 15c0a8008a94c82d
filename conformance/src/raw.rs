//! The C ABI as it is: NULL pointers, wrong lengths, wrong order. With `raw/` and `process.rs` all the `unsafe`
//! there is here. This file has the general functions, `raw/` one file per further chapter.
#![allow(unsafe_code, reason = "calls through C function pointers")]

use std::ffi::c_void;
use std::path::Path;
use std::ptr::{null_mut, with_exposed_provenance_mut};
use std::sync::Arc;

use claviger_protocol::{Result, Rv};
use cryptoki_sys::*;

/// The functions of a loaded module.
#[derive(Clone)]
pub struct Raw {
    /// Keeps the library loaded, and has its exported symbols.
    library: Arc<Pkcs11>,
    functions: CK_FUNCTION_LIST,
}

/// How a caller takes output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// A NULL buffer: how long is it?
    Query,
    /// A buffer of this many bytes.
    Bytes(usize),
    /// A NULL pointer where the length should be.
    NoLength,
}

/// What a call gave that fills a caller's buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// The return value.
    pub rv: Rv,
    /// The length that the call left.
    pub length: u64,
    /// The bytes that it wrote, when it succeeded with a buffer.
    pub data: Vec<u8>,
}

impl Output {
    /// The bytes of a call that must have succeeded.
    #[track_caller]
    pub fn unwrap(self) -> Vec<u8> {
        assert_eq!(self.rv, Rv::OK);
        self.data
    }
}

/// Anything with a return value in it.
pub trait Answer {
    /// The return value.
    fn rv(self) -> Rv;
}

impl Answer for Rv {
    fn rv(self) -> Rv {
        self
    }
}

impl<T> Answer for Result<T> {
    fn rv(self) -> Rv {
        self.err().unwrap_or(Rv::OK)
    }
}

impl Answer for Output {
    fn rv(self) -> Rv {
        self.rv
    }
}

/// What `C_Initialize` is given.
#[derive(Debug, Clone, Copy)]
pub enum Arguments {
    /// A NULL pointer.
    Null,
    /// `CK_C_INITIALIZE_ARGS` with these flags and no mutex functions.
    Flags(u64),
    /// `pReserved` is not NULL.
    Reserved,
    /// So many of the four mutex functions, and these flags.
    Mutexes(usize, u64),
}

/// Bytes beyond the caller's buffer, which no call may touch.
const GUARD: [u8; 16] = [0xa5; 16];

fn check(rv: CK_RV) -> Result<()> {
    if rv == CKR_OK { Ok(()) } else { Err(Rv(rv)) }
}

/// Calls `f` with the pointers that `room` asks for.
fn output(room: Room, f: impl FnOnce(*mut CK_BYTE, *mut CK_ULONG) -> CK_RV) -> Output {
    let size = match room {
        Room::Query => 0,
        Room::Bytes(size) => size,
        Room::NoLength => 64,
    };
    let mut buffer = vec![0u8; size];
    buffer.extend_from_slice(&GUARD);
    let mut length = size as CK_ULONG;
    let out = if room == Room::Query { null_mut() } else { buffer.as_mut_ptr() };
    let rv = Rv(f(out, if room == Room::NoLength { null_mut() } else { &mut length }));
    assert_eq!(buffer[size..], GUARD, "the call wrote beyond the buffer of {size} bytes");
    let data = match room {
        Room::Bytes(_) if rv == Rv::OK => {
            assert!(length as usize <= size, "{length} bytes in a buffer of {size}");
            buffer[..length as usize].to_vec()
        }
        _ => Vec::new(),
    };
    Output { rv, length, data }
}

fn input(data: &[u8]) -> (*mut CK_BYTE, CK_ULONG) {
    (data.as_ptr().cast_mut(), data.len() as CK_ULONG)
}

fn optional(data: Option<&[u8]>) -> (*mut CK_BYTE, CK_ULONG) {
    data.map_or((null_mut(), 0), input)
}

/// Calls a function of the list with arguments; every function of the 2.40 list is there.
macro_rules! call {
    ($self:ident.$function:ident($($argument:expr),* $(,)?)) => {
        // SAFETY: the pointers are to live values of the sizes given with them, or NULL on purpose, which the
        // standard lets a caller pass and the module answers with a return value.
        unsafe { $self.functions.$function.expect(stringify!($function))($($argument),*) }
    };
}

mod key;
pub mod null;
mod object;
mod operation;
mod session;
mod slot_token;

pub use operation::Operation;

impl Raw {
    /// Loads a module, or joins it when this process has loaded the same file before.
    pub fn load(path: &Path) -> Raw {
        // SAFETY: the module's initialisers are Rust's own, which do nothing that loading could upset.
        let library = unsafe { Pkcs11::new(path) }.expect("loading the module");
        let mut list = null_mut();
        // SAFETY: the list is the module's static, valid as long as the library is loaded.
        let functions = unsafe {
            let get = library.C_GetFunctionList.as_ref().expect("C_GetFunctionList is exported");
            assert_eq!(Rv(get(&mut list)), Rv::OK);
            *list
        };
        Raw { library: Arc::new(library), functions }
    }

    /// `C_GetFunctionList(NULL)`.
    pub fn get_function_list_null(&self) -> Rv {
        // SAFETY: NULL on purpose.
        Rv(unsafe { self.library.C_GetFunctionList.as_ref().expect("exported")(null_mut()) })
    }

    /// The version of the list of `C_GetFunctionList`, and how many of its entries are not NULL.
    pub fn function_list(&self) -> ((u8, u8), usize) {
        const ENTRIES: usize = (size_of::<CK_FUNCTION_LIST>() - size_of::<usize>()) / size_of::<usize>();
        // SAFETY: after the version, padded to a pointer's size, the structure is nothing but pointers.
        let entries = unsafe {
            std::slice::from_raw_parts(std::ptr::from_ref(&self.functions).cast::<usize>().add(1), ENTRIES)
        };
        let version = self.functions.version;
        ((version.major, version.minor), entries.iter().filter(|entry| **entry != 0).count())
    }

    /// `C_GetInterfaceList`: name, version and flags of each; and how many entries of its list are not NULL.
    pub fn interfaces(&self) -> Vec<(String, (u8, u8), u64, usize)> {
        let get = self.library.C_GetInterfaceList.as_ref().expect("C_GetInterfaceList is exported");
        let mut count = 0;
        // SAFETY: the buffer has the room stated; names and lists are the module's statics.
        unsafe {
            assert_eq!(Rv(get(null_mut(), &mut count)), Rv::OK);
            let mut interfaces = vec![CK_INTERFACE::default(); count as usize];
            assert_eq!(Rv(get(interfaces.as_mut_ptr(), &mut count)), Rv::OK);
            interfaces.truncate(count as usize);
            interfaces.iter().map(|interface| describe(interface)).collect()
        }
    }

    /// `C_GetInterfaceList` with room for `room` entries: the return value and the count it leaves.
    pub fn interface_count(&self, room: u64) -> (Rv, u64) {
        let get = self.library.C_GetInterfaceList.as_ref().expect("C_GetInterfaceList is exported");
        let mut interfaces = vec![CK_INTERFACE::default(); room as usize];
        let mut count = room;
        // SAFETY: the buffer has the room stated.
        let rv = Rv(unsafe { get(interfaces.as_mut_ptr(), &mut count) });
        (rv, count)
    }

    /// `C_GetInterface`.
    ///
    /// # Errors
    /// The return value.
    pub fn interface(
        &self,
        name: Option<&std::ffi::CStr>,
        version: Option<(u8, u8)>,
        flags: u64,
    ) -> Result<(String, (u8, u8), u64, usize)> {
        let get = self.library.C_GetInterface.as_ref().expect("C_GetInterface is exported");
        let mut version = version.map(|(major, minor)| CK_VERSION { major, minor });
        let version = version.as_mut().map_or(null_mut(), std::ptr::from_mut);
        let name = name.map_or(null_mut(), |name| name.as_ptr().cast_mut());
        let mut interface = null_mut();
        // SAFETY: the pointers are NULL or to live values; the interface is the module's static.
        unsafe {
            check(get(name.cast(), version, &mut interface, flags))?;
            Ok(describe(&*interface))
        }
    }

    /// `C_Initialize`.
    ///
    /// # Errors
    /// The return value; likewise for every function below.
    pub fn initialize(&self, arguments: Arguments) -> Result<()> {
        unsafe extern "C" fn create(mutex: *mut *mut c_void) -> CK_RV {
            // SAFETY: the module passes a place for a pointer.
            unsafe { *mutex = with_exposed_provenance_mut(1) };
            CKR_OK
        }
        unsafe extern "C" fn other(_: *mut c_void) -> CK_RV {
            CKR_OK
        }
        let mut structure = CK_C_INITIALIZE_ARGS::default();
        let pointer = match arguments {
            Arguments::Null => null_mut(),
            Arguments::Flags(flags) => {
                structure.flags = flags;
                std::ptr::from_mut(&mut structure).cast()
            }
            Arguments::Reserved => {
                structure.pReserved = with_exposed_provenance_mut(8);
                std::ptr::from_mut(&mut structure).cast()
            }
            Arguments::Mutexes(count, flags) => {
                structure.flags = flags;
                structure.CreateMutex = (count > 0).then_some(create);
                structure.DestroyMutex = (count > 1).then_some(other);
                structure.LockMutex = (count > 2).then_some(other);
                structure.UnlockMutex = (count > 3).then_some(other);
                std::ptr::from_mut(&mut structure).cast()
            }
        };
        check(call!(self.C_Initialize(pointer)))
    }

    /// `C_Finalize`, with NULL or with something reserved.
    pub fn finalize(&self, reserved: bool) -> Result<()> {
        check(call!(self.C_Finalize(if reserved { with_exposed_provenance_mut(8) } else { null_mut() })))
    }

    /// `C_GetInfo`.
    pub fn info(&self) -> Result<CK_INFO> {
        let mut info = CK_INFO::default();
        check(call!(self.C_GetInfo(&mut info))).map(|()| info)
    }

    /// `C_GetInfo(NULL)`.
    pub fn info_null(&self) -> Result<()> {
        check(call!(self.C_GetInfo(null_mut())))
    }

    /// `C_GetFunctionStatus`.
    pub fn function_status(&self, session: u64) -> Result<()> {
        check(call!(self.C_GetFunctionStatus(session)))
    }

    /// `C_CancelFunction`.
    pub fn cancel_function(&self, session: u64) -> Result<()> {
        check(call!(self.C_CancelFunction(session)))
    }
}

/// Name, version, flags, and how many entries of the interface's list are not NULL.
///
/// # Safety
/// The interface is a module's, whose library is loaded.
unsafe fn describe(interface: &CK_INTERFACE) -> (String, (u8, u8), u64, usize) {
    // SAFETY: the name is a C string, the list begins with its version and is as long as that version says.
    unsafe {
        let name = std::ffi::CStr::from_ptr(interface.pInterfaceName.cast()).to_string_lossy().into_owned();
        let list: *mut c_void = interface.pFunctionList;
        let version = *list.cast::<CK_VERSION>();
        let size = match (version.major, version.minor) {
            (2, _) => size_of::<CK_FUNCTION_LIST>(),
            (3, 0 | 1) => size_of::<CK_FUNCTION_LIST_3_0>(),
            _ => size_of::<CK_FUNCTION_LIST_3_2>(),
        };
        let words = std::slice::from_raw_parts(list.cast::<usize>(), size / size_of::<usize>());
        let entries = words[1..].iter().filter(|entry| **entry != 0).count();
        (name, (version.major, version.minor), interface.flags, entries)
    }
}
