//! Sizes and percentages as people type them.

/// What a size looks like.
const EXAMPLE: &str = "write for example 64MiB or 1.5GB";

/// Reads a size: a number with a unit, with or without a space between them (`64MiB`, `1.5 GB`, `500k`). A number alone is
/// bytes. K, M, G, T count by 1024 as KiB does; kB, MB, GB, TB by 1000.
///
/// # Errors
/// What is wrong with it, as the end of a sentence.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let text = text.trim();
    if text.starts_with('-') {
        return Err("a size cannot be negative".to_owned());
    }
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim();
    let factor: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        _ if number.is_empty() => return Err(format!("not a size: {EXAMPLE}")),
        "%" => return Err(format!("not a size but a percentage: {EXAMPLE}")),
        comma if comma.starts_with(',') => {
            return Err("not a size: the decimal sign is a point, as in 1.5GB".to_owned());
        }
        _ => {
            return Err(format!(
                "`{unit}` is no unit of size: there are B, k, M, G, T, KiB, MiB, GiB, TiB (by 1024) and kB, MB, GB, TB (by 1000)"
            ));
        }
    };
    let number: f64 = number.parse().map_err(|_| format!("not a size: {EXAMPLE}"))?;
    let bytes = (number * factor as f64).round();
    if !(0.0..1e18).contains(&bytes) {
        return Err("larger than any memory".to_owned());
    }
    Ok(bytes as u64)
}

/// Reads a percentage, `5%` or `0.5 %`, as a share of one. Without the sign it could be either.
///
/// # Errors
/// What is wrong with it, as the end of a sentence.
pub fn parse_percent(text: &str) -> Result<f64, String> {
    let Some(number) = text.trim().strip_suffix('%') else {
        return Err("write the percent sign, for example 5%".to_owned());
    };
    let number = number.trim();
    if number.starts_with('-') {
        return Err("a tolerance cannot be negative".to_owned());
    }
    let is_plain = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    match number.parse::<f64>() {
        Ok(percent) if is_plain && percent <= 1000.0 => Ok(percent / 100.0),
        Ok(_) if is_plain => Err("more than 1000% is no tolerance".to_owned()),
        _ => Err("not a percentage: write for example 5%".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_the_units_that_people_type() {
        for (text, bytes) in [
            ("65536", 65536),
            ("0", 0),
            ("12 B", 12),
            ("64MiB", 64 << 20),
            ("64 mib", 64 << 20),
            ("1.5g", 3 << 29),
            ("2 GiB", 2 << 30),
            ("2G", 2 << 30),
            ("4k", 4096),
            ("4K", 4096),
            ("500kB", 500_000),
            ("300MB", 300_000_000),
            ("1.5GB", 1_500_000_000),
            (" .5 M ", 1 << 19),
            ("1TiB", 1 << 40),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_told_why() {
        for (text, why) in [
            ("", "not a size"),
            ("MiB", "not a size"),
            ("big", "not a size"),
            ("12 parsecs", "`parsecs` is no unit"),
            ("-1MiB", "negative"),
            ("1e40", "`e40` is no unit"),
            ("99999999TiB", "larger than any memory"),
            ("1.2.3", "not a size"),
            ("1,5GB", "a point"),
            ("5%", "percentage"),
        ] {
            let error = parse_size(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn percentages_have_their_sign() {
        assert_eq!(parse_percent("5%"), Ok(0.05));
        assert_eq!(parse_percent("0.5 %"), Ok(0.005));
        assert_eq!(parse_percent("0%"), Ok(0.0));
        for (text, why) in [
            ("5", "sign"),
            ("0.05", "sign"),
            ("-5%", "negative"),
            ("%", "not a percentage"),
            ("inf%", "not a percentage"),
            ("1001%", "no tolerance"),
            ("5 MiB", "sign"),
        ] {
            let error = parse_percent(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
