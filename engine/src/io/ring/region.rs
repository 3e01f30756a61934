//! Memory that the kernel reads or writes: page-aligned, zeroed, unmapped on drop.

use std::io::Result;
use std::ptr::NonNull;

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

/// A private anonymous mapping, zeroed when made.
#[derive(Debug)]
pub(crate) struct Region {
    base: NonNull<u8>,
    len: usize,
}

impl Region {
    /// Map at least `len` bytes (rounded up to whole pages).
    ///
    /// *Errors:* the kernel refused, or `len` is 0.
    pub(crate) fn map(len: usize) -> Result<Self> {
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // JUSTIFICATION: a provided buffer ring must begin on a page, and blocks that are never
        // used must not count as resident; the allocator promises neither.
        // SAFETY: no address is asked for, so no existing mapping is replaced.
        let base =
            unsafe { mmap_anonymous(std::ptr::null_mut(), len, protection, MapFlags::PRIVATE) }?;
        let base = NonNull::new(base.cast::<u8>()).ok_or(std::io::ErrorKind::OutOfMemory)?;
        Ok(Self { base, len })
    }

    /// The first byte, as a number for the kernel.
    pub(crate) fn address(&self) -> usize {
        self.base.as_ptr() as usize
    }

    /// The first byte, as a pointer to `T`. Page-aligned, so aligned for every `T` used here.
    pub(crate) fn pointer<T>(&self) -> *mut T {
        self.base.as_ptr().cast::<T>()
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: base and len are those of a live mapping made in `map`, and the owner is
        // dropping: the pool outlives every `Buf` (each holds an `Rc` of it) and the driver
        // closes its ring, after every operation has completed, before it lets go of the pool.
        let unmapped = unsafe { munmap(self.base.as_ptr().cast(), self.len) };
        debug_assert!(unmapped.is_ok());
    }
}
