//! Reads field blocks (RFC 7541 §3 and §6).
//!
//! *In:* a whole block. *Out:* its fields, copied one after the other into [`Fields`]; strings are
//! unpacked where they are kept. A block that cannot be read leaves the two tables different, so
//! every error ends the connection (RFC 9113 §4.3).

use super::super::Fault;
use super::super::fields::Fields;
use super::huffman;
use super::table::{DynamicTable, STATIC};

/// Changes of the table's size that one block may begin with: down and up again (§4.2).
const RESIZES_MAX: u32 = 2;

/// The peer's field blocks, read.
#[derive(Debug)]
pub(crate) struct Decoder {
    table: DynamicTable,
}

impl Decoder {
    /// A decoder with an empty dynamic table.
    pub(crate) fn new() -> Self {
        Self {
            table: DynamicTable::new(),
        }
    }

    /// Reads `block` into `fields`, in place of what they held.
    pub(crate) fn decode(&mut self, mut block: &[u8], fields: &mut Fields) -> Result<(), Fault> {
        fields.clear();
        let mut resizes = 0;
        while let Some(&first) = block.first() {
            match first {
                // §6.1: a field of the tables.
                0x80.. => {
                    let index = integer(&mut block, 7)?;
                    let (name, value) = entry(&self.table, index)?;
                    fields.add(name, value)?;
                }
                // §6.2.1: a literal that is remembered.
                0x40..=0x7f => {
                    self.literal(&mut block, 6, fields)?;
                    if let Some((name, value)) = fields.last() {
                        self.table.insert(name, value);
                    }
                }
                // §6.3: only before the first field (§4.2).
                0x20..=0x3f => {
                    let size = integer(&mut block, 5)?;
                    resizes += 1;
                    if !fields.is_empty() || resizes > RESIZES_MAX {
                        return Err(Fault::compression("a table size update that comes late"));
                    }
                    if !self.table.resize(size) {
                        return Err(Fault::compression("a table larger than was allowed"));
                    }
                }
                // §6.2.2 and §6.2.3: a literal that is not remembered, here or by anybody.
                0x00..=0x1f => self.literal(&mut block, 4, fields)?,
            }
        }
        Ok(())
    }

    fn literal(&self, block: &mut &[u8], bits: u32, fields: &mut Fields) -> Result<(), Fault> {
        match integer(block, bits)? {
            0 => fields.push(|out| string(block, out))?,
            index => {
                let (name, _) = entry(&self.table, index)?;
                fields.push(|out| {
                    out.extend_from_slice(name);
                    Ok(())
                })?;
            }
        }
        fields.finish(|out| string(block, out))
    }
}

/// The field at `index` of both tables (§2.3.3).
fn entry(table: &DynamicTable, index: usize) -> Result<(&[u8], &[u8]), Fault> {
    let missing = Fault::compression("an index beyond both tables");
    // §6.1: index 0 is not used.
    let index = index.checked_sub(1).ok_or(missing)?;
    match STATIC.get(index) {
        Some(&entry) => Ok(entry),
        None => table.get(index - STATIC.len()).ok_or(missing),
    }
}

/// A number that begins in the low `bits` of the first byte (§5.1).
fn integer(block: &mut &[u8], bits: u32) -> Result<usize, Fault> {
    let truncated = Fault::compression("a number without an end");
    let mask = (1 << bits) - 1;
    let (&first, mut rest) = block.split_first().ok_or(truncated)?;
    let mut value = usize::from(first) & mask;
    if value == mask {
        let mut shift = 0;
        loop {
            let (&byte, after) = rest.split_first().ok_or(truncated)?;
            rest = after;
            // Four bytes reach 2^28, far beyond every index and length that is accepted.
            if shift > 21 {
                return Err(Fault::compression("a number that is too large"));
            }
            value += usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
    }
    *block = rest;
    Ok(value)
}

/// A string, plain or Huffman-coded (§5.2), appended to `out`.
fn string(block: &mut &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
    let truncated = Fault::compression("a string without an end");
    let coded = block.first().ok_or(truncated)? & 0x80 != 0;
    let length = integer(block, 7)?;
    let (text, rest) = block.split_at_checked(length).ok_or(truncated)?;
    *block = rest;
    if coded {
        huffman::decode(text, out)
    } else {
        out.extend_from_slice(text);
        Ok(())
    }
}
