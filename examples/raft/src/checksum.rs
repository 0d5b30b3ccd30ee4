//! CRC-32 as Ethernet and zlib have it (ISO 3309): what is on the disk and on the wire carries one.

const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

/// The checksum of what has the checksum `before` (0 for nothing), followed by these bytes.
pub fn extend(before: u32, bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!before, |crc, byte| TABLE[(crc as u8 ^ byte) as usize] ^ crc >> 8)
}

/// The bytes with their checksum before them.
pub fn seal(bytes: &[u8]) -> Vec<u8> {
    [&extend(0, bytes).to_le_bytes(), bytes].concat()
}

/// What [`seal`] was given; `None` if it is damaged.
pub fn open(sealed: &[u8]) -> Option<&[u8]> {
    let (sum, bytes) = sealed.split_first_chunk()?;
    (u32::from_le_bytes(*sum) == extend(0, bytes)).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_one_that_everybody_has() {
        // The check value of the catalogue of parametrised CRC algorithms.
        assert_eq!(extend(0, b"123456789"), 0xCBF4_3926);
        assert_eq!(extend(extend(0, b"1234"), b"56789"), 0xCBF4_3926);
    }

    #[test]
    fn damage_shows() {
        let mut sealed = seal(b"entry");
        assert_eq!(open(&sealed), Some(&b"entry"[..]));
        sealed[6] ^= 1;
        assert_eq!(open(&sealed), None);
        assert_eq!(open(&[1, 2]), None);
    }
}
