// SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT OR Apache-2.0

//! How a structure stands in a message: its fields, their places, and the way to and from bytes.

/// Copies `N` bytes at `at`; zeros where there are none.
#[inline]
pub(super) fn take<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    if let Some(part) = bytes.get(at..).and_then(|rest| rest.get(..N)) {
        out.copy_from_slice(part);
    }
    out
}

/// Puts `bytes` at `at`, if there is room.
#[inline]
pub(super) fn put(out: &mut [u8], at: usize, bytes: &[u8]) {
    let slot = out
        .get_mut(at..)
        .and_then(|rest| rest.get_mut(..bytes.len()));
    if let Some(slot) = slot {
        slot.copy_from_slice(bytes);
    }
}

/// A field of a structure: what a test must know of it to try each at its wrong values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// Where it begins, in bytes from the structure's beginning.
    pub at: usize,
    /// Bytes it takes: 2, 4 or 8.
    pub size: usize,
}

/// Declares the structures: layout, size in bytes, and the way to and from bytes.
macro_rules! layout {
    ($($(#[$attribute:meta])* $name:ident: $size:literal {
        $($(#[$about:meta])* $field:ident: $kind:ident @ $at:literal,)*
    })*) => {$(
        $(#[$attribute])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name {
            $($(#[$about])* pub $field: $kind,)*
        }

        const _: () = assert!(core::mem::size_of::<$name>() == $size);
        $(const _: () = assert!(core::mem::offset_of!($name, $field) == $at);)*

        impl $name {
            /// Bytes in a message.
            pub const SIZE: usize = $size;

            /// Its fields, in their order.
            pub const FIELDS: &'static [Field] = &[$(Field {
                name: stringify!($field),
                at: $at,
                size: core::mem::size_of::<$kind>(),
            },)*];

            /// As it stands in a message.
            #[inline]
            pub fn to_bytes(self) -> [u8; $size] {
                let mut out = [0; $size];
                $(put(&mut out, $at, &self.$field.to_ne_bytes());)*
                out
            }

            /// From the bytes of a message; what is missing is zero.
            #[inline]
            pub fn from_bytes(bytes: &[u8]) -> Self {
                Self { $($field: $kind::from_ne_bytes(take(bytes, $at)),)* }
            }
        }
    )*};
}
pub(super) use layout;
