//! Received bytes: a pool of blocks lent to the kernel, and the runs of bytes that come back.
//!
//! One pool per shard. Its blocks lie in a ring shared with the kernel (a provided buffer ring);
//! the kernel takes blocks from the head as data arrives, and a block is put back at the tail
//! when the last [`Buf`] over it drops. An idle connection holds no block.
//!
//! ```text
//!   position   head ............ tail          head <= tail, tail - head = free blocks
//!   entries  [ b7 ][ b2 ][ b5 ][    ]          the kernel fills them in this order
//! ```
//!
//! A bundle completion names only its first block; the others follow it in *ring* order, which is
//! why the pool remembers the position at which each block was last put.
//!
//! Under pressure ([`Pool::scarce`]) received bytes are copied to the heap and the block goes back
//! at once, so that peers that do not read can never take the last blocks.

use std::cell::{Cell, RefCell};
use std::ops::Deref;
use std::rc::Rc;
use std::sync::atomic::{AtomicU16, Ordering};

use bytes::Bytes;
use io_uring::types::BufRingEntry;

use super::region::Region;
use crate::limits;

/// The buffer group id of the pool. One pool per ring, so one id.
pub(crate) const GROUP: u16 = 0;

/// The blocks of one shard and the ring through which the kernel takes them.
#[derive(Debug)]
pub(crate) struct Pool {
    blocks: Region,
    ring: Region,
    block_bytes: u32,
    mask: u16,
    /// Mask of a position in `block_at`, which remembers one turn of the ring more: a completion
    /// that comes before one of an earlier position may put its blocks back first.
    positions: u16,
    /// How many [`Buf`]s look at each block; 0 = with the kernel.
    holders: Box<[Cell<u32>]>,
    /// Block at each ring position, and the position of each block.
    block_at: Box<[Cell<u16>]>,
    position_of: Box<[Cell<u16>]>,
    tail: Cell<u16>,
    /// Blocks in the ring, `offered <= offered_max`.
    offered: Cell<u16>,
    /// How many blocks the ring should hold: few, so that a block is used again while it is in
    /// the processor's cache; more once the kernel ran out of them in a batch.
    offered_max: Cell<u16>,
    /// Free blocks that are not in the ring, the one used last on top.
    spare: RefCell<Vec<u16>>,
}

impl Pool {
    /// A pool of `count` blocks (a power of two, at most 32768) of `block_bytes` each, all free.
    ///
    /// *Errors:* the memory could not be mapped.
    pub(crate) fn new(count: u16, block_bytes: u32) -> std::io::Result<Rc<Self>> {
        assert!(
            count.is_power_of_two() && count <= 32768,
            "pool size: {count}"
        );
        let blocks = Region::map(usize::from(count) * block_bytes as usize)?;
        let ring = Region::map(usize::from(count) * size_of::<BufRingEntry>())?;
        let cells = |count: usize| (0..count).map(|_| Cell::new(0)).collect();
        let pool = Self {
            blocks,
            ring,
            block_bytes,
            mask: count - 1,
            positions: 2 * (count - 1) + 1,
            holders: (0..count).map(|_| Cell::new(0)).collect(),
            block_at: cells(2 * usize::from(count)),
            position_of: cells(usize::from(count)),
            tail: Cell::new(0),
            offered: Cell::new(0),
            offered_max: Cell::new(count.min(limits::BUFFERS_OFFERED)),
            spare: RefCell::new((0..count).rev().collect()),
        };
        pool.offer();
        Ok(Rc::new(pool))
    }

    /// Address and number of entries of the ring, for registration with the kernel.
    pub(crate) fn registration(&self) -> (u64, u16) {
        (self.ring.address() as u64, self.mask + 1)
    }

    /// Fewer than a quarter of the blocks are free.
    pub(crate) fn scarce(&self) -> bool {
        self.free() <= self.mask / 4
    }

    /// Enough blocks are free again for receives that ran dry. Below [`Pool::scarce`]'s mark, which
    /// blocks may never leave when tasks hold the rest while they wait for just those receives.
    pub(crate) fn recovered(&self) -> bool {
        self.free() > self.mask / 8
    }

    /// Blocks that the kernel can still fill.
    pub(crate) fn free(&self) -> u16 {
        let spare = self.spare.borrow().len();
        // At most 32768 in all.
        self.offered.get() + u16::try_from(spare).unwrap_or(0)
    }

    /// Take over the `bytes` that one completion received, beginning in block `first`, and give
    /// each block's part to `each`, in order.
    ///
    /// Must be called once for each completion that carries a block, or the block is lost.
    pub(crate) fn take(self: &Rc<Self>, first: u16, bytes: u32, mut each: impl FnMut(Buf)) {
        let Some(position) = self.position_of.get(usize::from(first)) else {
            debug_assert!(
                false,
                "the kernel named block {first}, which is not in the pool"
            );
            return;
        };
        let mut position = position.get();
        let mut left = bytes;
        loop {
            let block = self.block_at[usize::from(position & self.positions)].get();
            let len = left.min(self.block_bytes);
            debug_assert_eq!(self.holders[usize::from(block)].get(), 0);
            self.holders[usize::from(block)].set(1);
            self.offered.set(self.offered.get() - 1);
            let held = Block {
                pool: Rc::clone(self),
                id: block,
            };
            let buf = Buf {
                source: Source::Pool(held),
                start: 0,
                end: len,
            };
            each(if self.scarce() { buf.to_heap() } else { buf });
            left -= len;
            if left == 0 {
                break;
            }
            position = position.wrapping_add(1);
        }
        self.offer();
    }

    /// The kernel found no block in a batch: offer it twice as many from now on.
    pub(crate) fn offer_more(&self) {
        let count = self.mask + 1;
        let more = self.offered_max.get().saturating_mul(2);
        self.offered_max.set(more.min(count));
        self.offer();
    }

    /// Put spare blocks into the ring until it holds as many as it should.
    fn offer(&self) {
        while self.offered.get() < self.offered_max.get() {
            let Some(block) = self.spare.borrow_mut().pop() else {
                return;
            };
            self.put(block);
        }
    }

    /// The last holder of `block` has dropped it.
    fn give_back(&self, block: u16) {
        if self.offered.get() < self.offered_max.get() {
            self.put(block);
        } else {
            self.spare.borrow_mut().push(block);
        }
    }

    /// Put `block` at the tail of the ring, where the kernel may take it again.
    fn put(&self, block: u16) {
        let tail = self.tail.get();
        let slot = usize::from(tail & self.mask);
        let address = self.blocks.address() + usize::from(block) * self.block_bytes as usize;
        // JUSTIFICATION: the entries are memory shared with the kernel; no safe type covers it.
        // SAFETY: `slot` <= mask, so the entry lies in the mapped ring. The kernel reads entries
        // only below the published tail, and this one is at the tail, so nobody reads it now.
        let entry = unsafe { &mut *self.ring.pointer::<BufRingEntry>().wrapping_add(slot) };
        entry.set_addr(address as u64);
        entry.set_len(self.block_bytes);
        entry.set_bid(block);
        self.block_at[usize::from(tail & self.positions)].set(block);
        self.position_of[usize::from(block)].set(tail);
        let tail = tail.wrapping_add(1);
        self.tail.set(tail);
        self.offered.set(self.offered.get() + 1);
        // JUSTIFICATION: the tail is published to the kernel in shared memory.
        // SAFETY: the pointer is the base of a registered ring whose first entry is initialised;
        // its tail field is aligned for u16 and lives as long as `self.ring`.
        let published = unsafe { BufRingEntry::tail(self.ring.pointer::<BufRingEntry>()) };
        // SAFETY: as above; user space is the only writer, and the kernel reads it atomically.
        let published = unsafe { AtomicU16::from_ptr(published.cast_mut()) };
        // Release: the entry must be visible before the tail that covers it.
        published.store(tail, Ordering::Release);
    }
}

/// One holder of a block. The last to drop gives the block back.
#[derive(Debug)]
struct Block {
    pool: Rc<Pool>,
    id: u16,
}

impl Block {
    fn bytes(&self) -> &[u8] {
        let len = self.pool.block_bytes as usize;
        let offset = usize::from(self.id) * len;
        let start = self.pool.blocks.pointer::<u8>().wrapping_add(offset);
        // JUSTIFICATION: zero-copy; a copy out of each block costs about 0.4 us at 16 KiB.
        // SAFETY: the range lies in the mapped region (`id` <= mask). The kernel writes to a
        // block only between `put` and the completion that hands it over; this block was handed
        // over and is not put back before the last holder drops, so the bytes do not change
        // while the borrow lives. Fresh mappings are zeroed, so all bytes are initialised.
        unsafe { std::slice::from_raw_parts(start, len) }
    }

    /// The bytes to be changed, if this is the only holder.
    fn bytes_mut(&mut self) -> Option<&mut [u8]> {
        if self.holders().get() != 1 {
            return None;
        }
        let len = self.pool.block_bytes as usize;
        let offset = usize::from(self.id) * len;
        let start = self.pool.blocks.pointer::<u8>().wrapping_add(offset);
        // JUSTIFICATION: ciphertext is opened where it lies; a copy of each record would cost what
        // the zero-copy receive saves.
        // SAFETY: as in `bytes`; and there is one holder, borrowed mutably, so that no other
        // reference into the block exists while this one lives.
        Some(unsafe { std::slice::from_raw_parts_mut(start, len) })
    }

    fn holders(&self) -> &Cell<u32> {
        &self.pool.holders[usize::from(self.id)]
    }
}

impl Clone for Block {
    fn clone(&self) -> Self {
        let holders = self.holders();
        holders.set(holders.get() + 1);
        Self {
            pool: Rc::clone(&self.pool),
            id: self.id,
        }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        let holders = self.holders();
        holders.set(holders.get() - 1);
        if holders.get() == 0 {
            self.pool.give_back(self.id);
        }
    }
}

#[derive(Clone, Debug)]
enum Source {
    Pool(Block),
    Heap(Bytes),
}

/// A run of bytes: part of a received block, or of shared heap memory.
///
/// Cloning, splitting and trimming never copy bytes. A received block goes back to the kernel
/// when the last `Buf` over it drops, so hold one only while its bytes are needed.
#[derive(Clone, Debug)]
pub struct Buf {
    source: Source,
    /// `start <= end <= length of the source`.
    start: u32,
    end: u32,
}

impl Buf {
    /// Forget the first `count` bytes; all of them when there are fewer.
    pub fn advance(&mut self, count: usize) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.start = self.start.saturating_add(count).min(self.end);
    }

    /// Split off the first `count` bytes (all of them when there are fewer); `self` keeps the rest.
    #[must_use]
    pub fn split_to(&mut self, count: usize) -> Self {
        let mut front = self.clone();
        front.truncate(count);
        self.advance(count);
        front
    }

    /// Keep only the first `len` bytes.
    pub fn truncate(&mut self, len: usize) {
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        self.end = self.start.saturating_add(len).min(self.end);
    }

    /// A run over heap memory of its own. *Limit:* 4 GiB; longer input is cut (debug: a panic).
    #[must_use]
    pub fn from_vec(bytes: Vec<u8>) -> Self {
        Self::from_bytes(Bytes::from(bytes))
    }

    /// A run over shared heap memory; nothing is copied. *Limit:* as [`Buf::from_vec`].
    #[must_use]
    pub fn from_bytes(bytes: Bytes) -> Self {
        debug_assert!(u32::try_from(bytes.len()).is_ok(), "a Buf is at most 4 GiB");
        let end = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        Self {
            source: Source::Heap(bytes),
            start: 0,
            end,
        }
    }

    /// Lets `edit` change the bytes, where they lie if nobody else holds them, and drops them.
    pub(crate) fn edit<T>(mut self, edit: impl FnOnce(&mut [u8]) -> T) -> T {
        let (start, end) = (self.start as usize, self.end as usize);
        if let Source::Pool(block) = &mut self.source
            && let Some(bytes) = block.bytes_mut()
        {
            return edit(&mut bytes[start..end]);
        }
        edit(&mut self.to_vec())
    }

    /// Whether the bytes lie in a block that the kernel is waiting for.
    pub(crate) fn holds_block(&self) -> bool {
        matches!(self.source, Source::Pool(_))
    }

    /// The same bytes on the heap; the block goes back if this was its last holder.
    pub(crate) fn to_heap(&self) -> Self {
        Self::from_bytes(Bytes::copy_from_slice(self))
    }
}

impl Deref for Buf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let whole: &[u8] = match &self.source {
            Source::Pool(block) => block.bytes(),
            Source::Heap(bytes) => bytes,
        };
        &whole[self.start as usize..self.end as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stand in for the kernel: fill the block at ring position `head`.
    fn receive(pool: &Rc<Pool>, head: u16, bytes: u32) -> Vec<Buf> {
        let first = pool.block_at[usize::from(head & pool.positions)].get();
        let mut bufs = Vec::new();
        pool.take(first, bytes, |buf| bufs.push(buf));
        bufs
    }

    #[test]
    fn a_block_returns_when_its_last_run_drops() {
        let pool = Pool::new(8, 64).expect("mapping");
        assert_eq!(pool.free(), 8);
        let mut whole = receive(&pool, 0, 10).remove(0);
        assert_eq!((pool.free(), whole.len()), (7, 10));
        let front = whole.split_to(4);
        assert_eq!((front.len(), whole.len()), (4, 6));
        drop(whole);
        assert_eq!(pool.free(), 7);
        drop(front);
        assert_eq!(pool.free(), 8);
    }

    #[test]
    fn a_bundle_follows_ring_order_not_block_order() {
        let pool = Pool::new(8, 64).expect("mapping");
        let first = receive(&pool, 0, 64);
        let second = receive(&pool, 1, 64);
        drop(second); // block 1 goes to position 8
        drop(first); // block 0 goes to position 9
        drop(receive(&pool, 2, 64 * 6));
        let bundle = receive(&pool, 8, 100);
        let ids: Vec<u16> = bundle
            .iter()
            .filter_map(|buf| match &buf.source {
                Source::Pool(block) => Some(block.id),
                Source::Heap(_) => None,
            })
            .collect();
        assert_eq!(ids, [1, 0]);
        assert_eq!(
            bundle.iter().map(|buf| buf.len()).collect::<Vec<_>>(),
            [64, 36]
        );
    }

    #[test]
    fn completions_out_of_ring_order_keep_their_blocks() {
        let pool = Pool::new(8, 64).expect("mapping");
        let block_at = |head| pool.block_at[usize::from(head & pool.positions)].get();
        let (first, second) = (block_at(0), block_at(1));
        pool.take(second, 1, drop); // goes back at once, to position 8
        pool.take(first, 1, |buf| match &buf.source {
            Source::Pool(block) => assert_eq!(block.id, first),
            Source::Heap(_) => panic!("copied"),
        });
        assert_eq!(pool.free(), 8);
    }

    #[test]
    fn few_blocks_serve_until_the_kernel_runs_out() {
        let pool = Pool::new(128, 64).expect("mapping");
        let used = |rounds| {
            let ids = (0..rounds).flat_map(|_| {
                let head = pool.tail.get() - pool.offered.get();
                receive(&pool, head, 1)
            });
            let ids = ids.filter_map(|buf| match &buf.source {
                Source::Pool(block) => Some(block.id),
                Source::Heap(_) => None,
            });
            ids.collect::<std::collections::BTreeSet<_>>().len()
        };
        let few = usize::from(limits::BUFFERS_OFFERED) + 1;
        assert!(used(1000) <= few);
        pool.offer_more();
        assert_eq!(pool.offered.get(), 2 * limits::BUFFERS_OFFERED);
        assert!(used(1000) > few);
        for _ in 0..10 {
            pool.offer_more();
        }
        assert_eq!((pool.offered.get(), pool.free()), (128, 128));
    }

    #[test]
    fn the_last_quarter_is_copied_and_goes_back_at_once() {
        let pool = Pool::new(8, 64).expect("mapping");
        let held: Vec<Buf> = (0..6).flat_map(|head| receive(&pool, head, 1)).collect();
        assert!(held.iter().take(5).all(Buf::holds_block));
        let free = pool.free();
        let more: Vec<Buf> = (6..20).flat_map(|head| receive(&pool, head, 1)).collect();
        assert!(more.iter().all(|buf| !buf.holds_block()));
        assert!(pool.free() >= free && pool.free() > 0);
    }

    #[test]
    fn trimming_never_leaves_the_bytes() {
        let mut buf = Buf::from_vec(b"abcdef".to_vec());
        buf.advance(2);
        assert_eq!(&*buf.split_to(2), b"cd");
        assert_eq!(&*buf, b"ef");
        buf.truncate(9);
        buf.advance(9);
        assert!(buf.is_empty());
    }
}
