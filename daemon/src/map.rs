//! Maps by what this daemon gives out itself: handles, slots, uids. Nobody can choose them so that they meet, and a use of
//! a key looks a dozen of them up, so they are not hashed as what strangers choose would be.

/// See [the file](self).
pub type Map<K, V> = std::collections::HashMap<K, V, foldhash::fast::RandomState>;
