//! The bytes of one file, held sparsely by sector.

use std::collections::BTreeMap;

/// Bytes that the device writes as one piece. A power cut tears between sectors (and, to be harsher than most
/// devices, inside one when a test asks for a cut at a byte).
pub const SECTOR_BYTES: u64 = 512;

/// A file's content: absent sectors read as zero.
#[derive(Debug, Clone, Default)]
pub(super) struct Image {
    len: u64,
    sectors: BTreeMap<u64, Box<[u8; SECTOR_BYTES as usize]>>,
}

impl Image {
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Fills `buffer`; the caller has checked the range against `len`.
    pub(super) fn read(&self, offset: u64, buffer: &mut [u8]) {
        buffer.fill(0);
        for (piece, range) in pieces(offset, buffer.len()) {
            if let Some(sector) = self.sectors.get(&(piece / SECTOR_BYTES)) {
                let start = (piece % SECTOR_BYTES) as usize;
                buffer[range.clone()].copy_from_slice(&sector[start..start + range.len()]);
            }
        }
    }

    pub(super) fn write(&mut self, offset: u64, data: &[u8]) {
        for (piece, range) in pieces(offset, data.len()) {
            let sector =
                self.sectors.entry(piece / SECTOR_BYTES).or_insert_with(|| Box::new([0; SECTOR_BYTES as usize]));
            let start = (piece % SECTOR_BYTES) as usize;
            sector[start..start + range.len()].copy_from_slice(&data[range]);
        }
        self.len = self.len.max(offset + data.len() as u64);
    }

    /// Cuts or extends; what is cut reads as zero if the file grows again.
    pub(super) fn set_len(&mut self, len: u64) {
        if len < self.len {
            self.sectors.split_off(&len.div_ceil(SECTOR_BYTES));
            let within = (len % SECTOR_BYTES) as usize;
            if within != 0
                && let Some(sector) = self.sectors.get_mut(&(len / SECTOR_BYTES))
            {
                sector[within..].fill(0);
            }
        }
        self.len = len;
    }
}

/// Splits a byte range at sector borders: `(file offset, range inside the data)` for each piece.
pub(super) fn pieces(offset: u64, len: usize) -> impl Iterator<Item = (u64, std::ops::Range<usize>)> {
    let mut done = 0usize;
    std::iter::from_fn(move || {
        if done == len {
            return None;
        }
        let at = offset + done as u64;
        let room = (SECTOR_BYTES - at % SECTOR_BYTES) as usize;
        let range = done..len.min(done + room);
        done = range.end;
        Some((at, range))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_range_reads_as_zero_after_growing_again() {
        let mut image = Image::default();
        image.write(500, &[7; 600]);
        image.set_len(600);
        image.set_len(1100);
        let mut all = vec![1; 1100];
        image.read(0, &mut all);
        assert!(all[..500].iter().all(|b| *b == 0));
        assert!(all[500..600].iter().all(|b| *b == 7));
        assert!(all[600..].iter().all(|b| *b == 0));
    }

    #[test]
    fn pieces_never_cross_a_sector() {
        let cut: Vec<_> = pieces(510, 600).collect();
        assert_eq!(cut, vec![(510, 0..2), (512, 2..514), (1024, 514..600)]);
    }
}
