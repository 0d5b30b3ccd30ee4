//! IPv4 literals as getaddrinfo(3) takes them, by inet_aton(3): one to four numbers, of which the last fills what is left,
//! each decimal, octal (`0…`) or hexadecimal (`0x…`).

use std::net::Ipv4Addr;

/// The address that a literal stands for; `None` for a name.
pub(super) fn parse(host: &str) -> Option<Ipv4Addr> {
    // Names begin with a letter, but for few: this is asked for every one of them.
    if !host.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let parts: Vec<u32> = host.split('.').map(number).collect::<Option<_>>()?;
    let (last, bytes) = parts.split_last()?;
    if bytes.len() > 3 || bytes.iter().any(|&byte| byte > 255) {
        return None;
    }
    let room = 32 - 8 * bytes.len() as u32;
    if u64::from(*last) >= 1 << room {
        return None;
    }
    let head = bytes.iter().enumerate().map(|(i, &byte)| byte << (24 - 8 * i)).sum::<u32>();
    Some(Ipv4Addr::from_bits(head | last))
}

fn number(text: &str) -> Option<u32> {
    let (digits, base) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hexadecimal) => (hexadecimal, 16),
        None if text.len() > 1 && text.starts_with('0') => (&text[1..], 8),
        None => (text, 10),
    };
    // `from_str_radix` takes a sign.
    if digits.starts_with('+') { None } else { u32::from_str_radix(digits, base).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_hexadecimal_and_octal_literals_are_addresses() {
        let cases = [
            ("127.1", [127, 0, 0, 1]),
            ("0x7f000001", [127, 0, 0, 1]),
            ("10.0x10.257", [10, 16, 1, 1]),
            ("010.0.0.1", [8, 0, 0, 1]),
            ("4294967295", [255, 255, 255, 255]),
            ("0", [0, 0, 0, 0]),
        ];
        for (text, address) in cases {
            assert_eq!(parse(text), Some(address.into()), "{text}");
        }
        for name in
            ["", "a", "1a", "256.1", "1.2.3.256", "1.2.3.4.5", "0x", "08", "1.", "+1", "4294967296", "1.-1"]
        {
            assert_eq!(parse(name), None, "{name}");
        }
    }
}
