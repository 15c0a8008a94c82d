//! The root key: the one secret that is not in the state directory's own files.
//!
//! It encrypts nothing itself. HKDF-SHA256 (RFC 5869) turns it into one subkey per purpose.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use openssl::md::Md;
use openssl::pkey::Id;
use openssl::pkey_ctx::PkeyCtx;
use zeroize::Zeroizing;

use super::durable::{make_private_dir, parent, remove_if_present, sync_dir, with_suffix, write_new};
use super::error::{Error, Result, RootKeyFault};

/// Length of the root key and of every subkey, in bytes.
pub const ROOT_KEY_BYTES: usize = 32;

/// The name of the systemd credential.
const CREDENTIAL: &str = "root-key";

/// The purposes of subkeys. A label is forever: what was made under it opens only under it. All but the keyring's
/// come from a key in the keyring, so that they stay when the root key changes: see
/// [`Records::subkey`](super::Records::subkey).
pub mod label {
    /// Seals the keyring.
    pub const KEYRING_KEK: &str = "keyring-kek";
    /// Joins the PIN before it is hashed, so that hashes alone allow no guessing.
    pub const PIN_PEPPER: &str = "pin-pepper";
    /// Authenticates the anchor; derived from the store key.
    pub const ANCHOR_MAC: &str = "anchor-mac";
    /// Authenticates the audit log.
    pub const AUDIT_MAC: &str = "audit-mac";
    /// Authenticates resume tickets.
    pub const TICKET_MAC: &str = "ticket-mac";
    /// Authenticates the list of what was destroyed.
    pub const TOMBSTONE_MAC: &str = "tombstone-mac";
}

/// The root key; wiped when dropped.
pub struct RootKey(Zeroizing<[u8; ROOT_KEY_BYTES]>);

impl RootKey {
    /// A new random key.
    ///
    /// # Errors
    /// [`Error::Crypto`] when the system has no randomness to give.
    pub fn random() -> Result<Self> {
        let mut key = Zeroizing::new([0; ROOT_KEY_BYTES]);
        openssl::rand::rand_priv_bytes(&mut *key)?;
        Ok(Self(key))
    }

    /// The key that these bytes are.
    pub(super) fn from_bytes(bytes: Zeroizing<[u8; ROOT_KEY_BYTES]>) -> Self {
        Self(bytes)
    }

    /// The key's bytes.
    pub(super) fn bytes(&self) -> &[u8; ROOT_KEY_BYTES] {
        &self.0
    }

    /// The key in the file at `path`: a regular file of 32 bytes that belongs to this user or root and is
    /// closed to everyone else. With `create` a missing file is made, with a random key; pass it only while
    /// the store holds no data, for a new key opens nothing old.
    ///
    /// # Errors
    /// [`Error::RootKey`] with the fault.
    pub fn from_file(path: &Path, create: bool) -> Result<Self> {
        match read(path, 0o077) {
            Err(RootKeyFault::Missing) if create => {
                Self::random()?.write_to(path)?;
                // Whoever made the file first, the key is the one in the file.
                read(path, 0o077)
            }
            result => result,
        }
        .map_err(|fault| Error::RootKey { path: path.to_owned(), fault })
    }

    /// The key in the systemd credential `root-key`.
    ///
    /// # Errors
    /// [`Error::RootKey`] with the fault.
    pub fn from_credential() -> Result<Self> {
        match std::env::var_os("CREDENTIALS_DIRECTORY") {
            Some(dir) => Self::from_credential_in(Path::new(&dir)),
            None => {
                Err(Error::RootKey { path: PathBuf::from(CREDENTIAL), fault: RootKeyFault::NoCredentials })
            }
        }
    }

    /// systemd opens credentials to the service's user by an access control list, which shows as group
    /// permission; the directory is closed to everyone else.
    fn from_credential_in(dir: &Path) -> Result<Self> {
        let path = dir.join(CREDENTIAL);
        read(&path, 0o007).map_err(|fault| Error::RootKey { path, fault })
    }

    /// The subkey for the purpose `label`, one of the constants in [`label`](mod@label).
    ///
    /// # Errors
    /// [`Error::Crypto`] when OpenSSL fails.
    pub(super) fn subkey(&self, label: &str) -> Result<Zeroizing<[u8; ROOT_KEY_BYTES]>> {
        derive(&self.0, label)
    }

    /// Writes the key to a new file, which appears with all its content or not at all and never replaces
    /// another.
    pub(super) fn write_to(&self, path: &Path) -> Result<()> {
        let fail = |error: io::Error| Error::RootKey { path: path.to_owned(), fault: error.into() };
        let dir = parent(path);
        make_private_dir(dir)?;
        let new = with_suffix(path, ".new");
        remove_if_present(&new)?;
        write_new(&new, &*self.0).map_err(fail)?;
        let linked = std::fs::hard_link(&new, path);
        remove_if_present(&new)?;
        match linked {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(fail(error)),
            _ => sync_dir(dir),
        }
    }
}

/// Reads a key from a file none of whose permission bits `closed_to` may be set.
fn read(path: &Path, closed_to: u32) -> std::result::Result<RootKey, RootKeyFault> {
    // NONBLOCK: opening a pipe must not wait for its writer.
    let opened = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path);
    let mut file: File = opened.map_err(|error| match error.raw_os_error() {
        Some(libc::ENOENT) => RootKeyFault::Missing,
        Some(libc::ELOOP | libc::ENXIO) => RootKeyFault::NotRegular,
        _ => RootKeyFault::Io(error),
    })?;
    let status = file.metadata()?;
    if !status.is_file() {
        return Err(RootKeyFault::NotRegular);
    }
    if status.mode() & closed_to != 0 {
        return Err(RootKeyFault::Mode(status.mode() & 0o7777));
    }
    if status.uid() != 0 && status.uid() != nix::unistd::geteuid().as_raw() {
        return Err(RootKeyFault::Owner(status.uid()));
    }
    if status.len() != ROOT_KEY_BYTES as u64 {
        return Err(RootKeyFault::Size(status.len()));
    }
    let mut key = Zeroizing::new([0; ROOT_KEY_BYTES]);
    file.read_exact(&mut *key)?;
    Ok(RootKey(key))
}

/// The subkey of `key` for the purpose `label`.
pub(super) fn derive(key: &[u8; ROOT_KEY_BYTES], label: &str) -> Result<Zeroizing<[u8; ROOT_KEY_BYTES]>> {
    let info = format!("claviger v1 {label}");
    let mut subkey = Zeroizing::new([0; ROOT_KEY_BYTES]);
    hkdf_sha256(key, &[], info.as_bytes(), &mut *subkey)?;
    Ok(subkey)
}

pub(super) fn hkdf_sha256(key: &[u8], salt: &[u8], info: &[u8], output: &mut [u8]) -> Result<()> {
    let mut context = PkeyCtx::new_id(Id::HKDF)?;
    context.derive_init()?;
    context.set_hkdf_md(Md::sha256())?;
    context.set_hkdf_key(key)?;
    context.set_hkdf_salt(salt)?;
    context.add_hkdf_info(info)?;
    context.derive(Some(output))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn fault(result: Result<RootKey>) -> RootKeyFault {
        match result {
            Err(Error::RootKey { fault, .. }) => fault,
            Err(other) => panic!("another error: {other}"),
            Ok(_) => panic!("the key was accepted"),
        }
    }

    fn key_file(dir: &Path, bytes: &[u8], mode: u32) -> PathBuf {
        let path = dir.join("key");
        std::fs::write(&path, bytes).unwrap();
        set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn rfc_5869_test_cases() {
        // Appendix A.1 and A.3 (no salt, no info), the first 32 bytes of OKM: HKDF's blocks come in order.
        let cases: [(&[u8], &[u8], &str); 2] = [
            (
                &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12],
                &[0xf0, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9],
                "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf",
            ),
            (&[], &[], "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"),
        ];
        for (salt, info, expected) in cases {
            let mut output = [0; 32];
            hkdf_sha256(&[0x0b; 22], salt, info, &mut output).unwrap();
            let hex: String = output.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hex, expected);
        }
    }

    #[test]
    fn subkeys_differ_by_label_and_by_root_key() {
        let (one, other) = (RootKey::random().unwrap(), RootKey::random().unwrap());
        assert_eq!(*one.subkey(label::AUDIT_MAC).unwrap(), *one.subkey(label::AUDIT_MAC).unwrap());
        assert_ne!(*one.subkey(label::AUDIT_MAC).unwrap(), *one.subkey(label::ANCHOR_MAC).unwrap());
        assert_ne!(*one.subkey(label::AUDIT_MAC).unwrap(), *other.subkey(label::AUDIT_MAC).unwrap());
    }

    #[test]
    fn a_created_file_is_private_and_gives_the_same_key_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deeper/key");
        assert!(matches!(fault(RootKey::from_file(&path, false)), RootKeyFault::Missing));
        let created = RootKey::from_file(&path, true).unwrap();
        assert_eq!(path.metadata().unwrap().mode() & 0o7777, 0o600);
        assert_eq!(*RootKey::from_file(&path, false).unwrap().0, *created.0);
        assert_eq!(*RootKey::from_file(&path, true).unwrap().0, *created.0);
        assert!(!dir.path().join("deeper/key.new").exists());
    }

    #[test]
    fn an_existing_file_is_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = key_file(dir.path(), &[7; 32], 0o400);
        RootKey::random().unwrap().write_to(&path).unwrap();
        assert_eq!(*RootKey::from_file(&path, true).unwrap().0, [7; 32]);
    }

    #[test]
    fn files_open_to_others_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        for mode in [0o640, 0o604, 0o620, 0o601, 0o777] {
            let path = key_file(dir.path(), &[7; 32], mode);
            assert!(
                matches!(fault(RootKey::from_file(&path, true)), RootKeyFault::Mode(found) if found == mode)
            );
        }
        for mode in [0o600, 0o400] {
            assert!(RootKey::from_file(&key_file(dir.path(), &[7; 32], mode), false).is_ok());
        }
    }

    #[test]
    fn files_of_another_length_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        for length in [0, 31, 33, 4096] {
            let path = key_file(dir.path(), &vec![7; length], 0o600);
            assert!(
                matches!(fault(RootKey::from_file(&path, true)), RootKeyFault::Size(found) if found == length as u64)
            );
        }
    }

    #[test]
    fn what_is_no_regular_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let target = key_file(dir.path(), &[7; 32], 0o600);
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&target, &link).unwrap();
        let pipe = dir.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRUSR | nix::sys::stat::Mode::S_IWUSR).unwrap();
        for path in [link.as_path(), pipe.as_path(), dir.path()] {
            assert!(matches!(fault(RootKey::from_file(path, true)), RootKeyFault::NotRegular), "{path:?}");
        }
    }

    #[test]
    fn a_file_of_another_user_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = key_file(dir.path(), &[7; 32], 0o600);
        // Only root can give a file away; for others the kernel refuses, and there is nothing to check.
        if std::os::unix::fs::chown(&path, Some(12345), None).is_ok() {
            assert!(matches!(fault(RootKey::from_file(&path, false)), RootKeyFault::Owner(12345)));
        } else {
            assert!(!nix::unistd::geteuid().is_root());
        }
    }

    #[test]
    fn a_credential_may_show_its_access_list_as_group_bits() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(CREDENTIAL);
        assert!(matches!(fault(RootKey::from_credential_in(dir.path())), RootKeyFault::Missing));
        std::fs::write(&path, [9; 32]).unwrap();
        set_permissions(&path, Permissions::from_mode(0o440)).unwrap();
        assert_eq!(*RootKey::from_credential_in(dir.path()).unwrap().0, [9; 32]);
        set_permissions(&path, Permissions::from_mode(0o444)).unwrap();
        assert!(matches!(fault(RootKey::from_credential_in(dir.path())), RootKeyFault::Mode(0o444)));
    }
}
