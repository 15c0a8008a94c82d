//! The macro behind every vocabulary of the standard: a number, its name, and nothing else.

/// Declares a `u64` newtype with one constant per row and the standard's spelling for people.
macro_rules! numbers {
    ($(#[$doc:meta])* $type:ident, $prefix:literal { $($name:ident = $number:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, bincode::Encode, bincode::Decode)]
        pub struct $type(pub u64);

        #[allow(missing_docs, reason = "the names are the standard's own")]
        impl $type {
            $(pub const $name: $type = $type($number);)*

            /// Every number the standard names, with its name.
            pub const NAMED: &'static [($type, &'static str)] =
                &[$(($type($number), concat!($prefix, stringify!($name))),)*];

            /// The standard's name of this number, if it has one.
            pub fn name(self) -> Option<&'static str> {
                Self::NAMED.iter().find(|(number, _)| *number == self).map(|(_, name)| *name)
            }

            /// The number that the standard gives this name, written in full (`CKX_...`).
            pub fn from_name(name: &str) -> Option<$type> {
                Self::NAMED.iter().find(|(_, n)| *n == name).map(|(number, _)| *number)
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self.name() {
                    Some(name) => f.write_str(name),
                    None => write!(f, "{}{:#x}", $prefix, self.0),
                }
            }
        }

        impl std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(self, f)
            }
        }
    };
}

pub(crate) use numbers;
