//! Who somebody is: the kernel's word for the process that connected, and what the user and group databases make of
//! it at that moment.

use std::ffi::CString;
use std::sync::Arc;

use nix::unistd::{Gid, Group, Uid, User as SystemUser, getgrouplist};

use super::settings::Settings;
use crate::kms::record::RingName;
use crate::server::Peer;
use crate::session_table::User;

/// A process at one of the sockets, with the names and groups of its user when it connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The process.
    pub peer: Peer,
    /// Its user's name, if the user database has one.
    pub user: Option<String>,
    /// Its group and its user's further groups.
    pub gids: Vec<u32>,
    /// Names of those groups.
    pub groups: Vec<String>,
    /// Root, a member of the admin group, or who started the daemon with `--dev`: allowed to manage.
    pub admin: bool,
    /// Allowed to use keys without a grant.
    pub uses_keys: bool,
}

impl Identity {
    /// Asks the user and group databases. Blocks for as long as they take.
    pub fn of(peer: Peer, settings: &Settings) -> Identity {
        let user = SystemUser::from_uid(Uid::from_raw(peer.uid)).ok().flatten().map(|user| user.name);
        let mut gids = vec![peer.gid];
        if let Some(name) = user.as_deref().and_then(|name| CString::new(name).ok()) {
            let further = getgrouplist(&name, Gid::from_raw(peer.gid)).unwrap_or_default();
            gids.extend(further.into_iter().map(Gid::as_raw).filter(|gid| *gid != peer.gid));
        }
        let name = |gid: &u32| Group::from_gid(Gid::from_raw(*gid)).ok().flatten().map(|group| group.name);
        let groups: Vec<String> = gids.iter().filter_map(name).collect();
        let owner = settings.owner == Some(peer.uid);
        let in_admin_group = settings.admin_group.as_ref().is_some_and(|admins| groups.contains(admins));
        Identity {
            peer,
            user,
            gids,
            groups,
            admin: peer.uid == 0 || owner || in_admin_group,
            uses_keys: owner || (peer.uid == 0 && settings.root_may_use_keys),
        }
    }
}

/// Who asks: a process, and what it is logged in as where it asks.
#[derive(Debug, Clone)]
pub struct Who {
    /// The process; none when `policies test` asks for a role of a token alone.
    pub identity: Option<Arc<Identity>>,
    /// The ring on whose token it is logged in, and as whom.
    pub login: Option<(RingName, User)>,
}

impl Who {
    /// A process that is logged in nowhere.
    pub fn process(identity: Arc<Identity>) -> Who {
        Who { identity: Some(identity), login: None }
    }

    /// As messages name it.
    pub fn name(&self) -> String {
        match (&self.identity, &self.login) {
            (_, Some((ring, User::User))) => format!("token-user:{}", ring.id),
            (_, Some((ring, User::So))) => format!("token-so:{}", ring.id),
            (Some(identity), None) => crate::audit::user_name(identity.peer.uid),
            (None, None) => "nobody".to_owned(),
        }
    }
}
