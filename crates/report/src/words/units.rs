//! The only place that words sizes, percents and durations, and reads those that people type.

mod given;

pub use given::{parse_percent, parse_size};

const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/// A size in binary units with three significant digits: `512 B`, `1.50 KiB`, `61.0 MiB`, `1000 GiB`.
pub fn size(bytes: u64) -> String {
    let mut value = bytes as f64;
    let mut unit = 0;
    // 1023.5 and more would be printed as 1024.
    while value >= 1023.5 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let digits = match value {
        _ if unit == 0 => 0,
        v if v < 9.995 => 2,
        v if v < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.digits$} {}", UNITS[unit])
}

/// A share as percent: `61 %`, `4.2 %`, `<0.1 %`. Of nothing, everything is `0 %`.
pub(crate) fn percent(part: u64, whole: u64) -> String {
    if part == 0 || whole == 0 {
        return "0 %".to_owned();
    }
    let value = part as f64 * 100.0 / whole as f64;
    match value {
        v if v < 0.1 => "<0.1 %".to_owned(),
        v if v < 9.95 => format!("{v:.1} %"),
        v if v >= 999.5 => ">999 %".to_owned(),
        v => format!("{v:.0} %"),
    }
}

/// A share of one that was given: `5 %`, `0.5 %`.
pub(crate) fn share(share: f64) -> String {
    let percent = (share * 1e4).round() / 1e2;
    format!("{percent} %")
}

/// A duration: `0.31 s`, `41.2 s`, `12 min 5 s`, `3 h 20 min`.
pub fn duration(seconds: f64) -> String {
    let seconds = if seconds.is_finite() { seconds.max(0.0) } else { 0.0 };
    if seconds < 9.995 {
        format!("{seconds:.2} s")
    } else if seconds < 119.95 {
        format!("{seconds:.1} s")
    } else if seconds < 7200.0 {
        let whole = seconds as u64;
        format!("{} min {} s", whole / 60, whole % 60)
    } else {
        let minutes = (seconds / 60.0) as u64;
        format!("{} h {} min", minutes / 60, minutes % 60)
    }
}

/// A number with commas: `3,000`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A number with its noun: `1 process`, `3,000 processes`.
pub fn count(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(number), if number == 1 { one } else { many })
}

/// Whether a word belongs to the number before it and must not begin a line.
pub(crate) fn is_unit(word: &str) -> bool {
    let word = word.trim_end_matches([',', '.', ';', ':', ')', ']']);
    UNITS.contains(&word) || matches!(word, "%" | "s" | "min" | "h")
}

/// Seconds since 1970 as RFC 3339 in UTC: `2026-11-22T20:14:00Z`.
pub(crate) fn timestamp(unix: u64) -> String {
    let (days, rest) = (unix / 86_400, unix % 86_400);
    // Howard Hinnant, "chrono-compatible low-level date algorithms", civil_from_days: years begin in March.
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// `Py_Version` as Python writes it: `3.11.7`, `3.15.0a2`.
pub(crate) fn python_version(version: u32) -> String {
    let [major, minor, micro, last] = version.to_be_bytes();
    let level = match last >> 4 {
        0xa => "a",
        0xb => "b",
        0xc => "rc",
        _ => return format!("{major}.{minor}.{micro}"),
    };
    format!("{major}.{minor}.{micro}{level}{}", last & 0xf)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_three_significant_digits() {
        let cases = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.00 KiB"),
            (1536, "1.50 KiB"),
            (10 * 1024, "10.0 KiB"),
            (100 * 1024, "100 KiB"),
            ((1 << 20) - 1, "1.00 MiB"),
            (1_513_975_000, "1.41 GiB"),
            (u64::MAX, "16.0 EiB"),
        ];
        for (bytes, text) in cases {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn percents_of_nothing_and_of_little() {
        assert_eq!(percent(0, 0), "0 %");
        assert_eq!(percent(5, 0), "0 %");
        assert_eq!(percent(1, 1_000_000), "<0.1 %");
        assert_eq!(percent(42, 1000), "4.2 %");
        assert_eq!(percent(61, 100), "61 %");
        assert_eq!(percent(u64::MAX, u64::MAX), "100 %");
        assert_eq!(percent(u64::MAX, 1), ">999 %");
    }

    #[test]
    fn durations_of_every_length() {
        assert_eq!(duration(0.314), "0.31 s");
        assert_eq!(duration(41.23), "41.2 s");
        assert_eq!(duration(725.9), "12 min 5 s");
        assert_eq!(duration(12_000.0), "3 h 20 min");
        assert_eq!(duration(f64::NAN), "0.00 s");
        assert_eq!(duration(-1.0), "0.00 s");
    }

    #[test]
    fn counts_are_grouped_and_agree_with_their_noun() {
        assert_eq!(count(1, "block", "blocks"), "1 block");
        assert_eq!(count(999, "block", "blocks"), "999 blocks");
        assert_eq!(count(9_493_100, "block", "blocks"), "9,493,100 blocks");
    }

    #[test]
    fn timestamps_know_the_calendar() {
        assert_eq!(timestamp(0), "1970-01-01T00:00:00Z");
        assert_eq!(timestamp(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(timestamp(1_795_378_440), "2026-11-22T20:14:00Z");
        assert!(!timestamp(u64::MAX).is_empty());
    }

    #[test]
    fn python_versions_read_as_python_writes_them() {
        assert_eq!(python_version(0x030b_07f0), "3.11.7");
        assert_eq!(python_version(0x030f_00a2), "3.15.0a2");
        assert_eq!(python_version(0x030e_00c1), "3.14.0rc1");
    }
}
