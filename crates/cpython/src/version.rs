//! Which CPython it is.

/// A version of CPython.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// 3.
    pub major: u8,
    /// 9 for CPython 3.9.
    pub minor: u8,
    /// 18 for CPython 3.9.18.
    pub micro: u8,
}

impl Version {
    /// From the value of `Py_Version` (3.11 on) or `PY_VERSION_HEX`.
    ///
    /// ```
    /// use deadweight_cpython::Version;
    /// assert_eq!(Version::from_hex(0x030d_00f0), Version { major: 3, minor: 13, micro: 0 });
    /// ```
    #[must_use]
    pub const fn from_hex(hex: u32) -> Self {
        let [major, minor, micro, _release] = hex.to_be_bytes();
        Self { major, minor, micro }
    }

    /// From the text of `Py_GetVersion()`, as in `3.9.18 (main, ...` or `3.13.0rc1+ (heads/...`.
    ///
    /// `None` if it does not begin with three numbers below 256 with dots between them.
    ///
    /// ```
    /// use deadweight_cpython::Version;
    /// assert_eq!(Version::parse(b"3.13.0rc1+ (main)"), Some(Version { major: 3, minor: 13, micro: 0 }));
    /// assert_eq!(Version::parse(b"PyPy"), None);
    /// ```
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let (major, rest) = number(text)?;
        let (minor, rest) = number(rest.strip_prefix(b".")?)?;
        let (micro, _) = number(rest.strip_prefix(b".")?)?;
        Some(Self { major, minor, micro })
    }

    /// Whether the text of `Py_GetVersion()` is of a free-threaded build, whose layouts this crate does not know.
    ///
    /// ```
    /// use deadweight_cpython::Version;
    /// assert!(Version::is_free_threaded(b"3.13.0 experimental free-threading build (main, ...)"));
    /// assert!(!Version::is_free_threaded(b"3.13.0 (main, ...)"));
    /// ```
    #[must_use]
    pub fn is_free_threaded(text: &[u8]) -> bool {
        const MARK: &[u8] = b"free-threading build";
        text.windows(MARK.len()).any(|window| window == MARK)
    }
}

/// A decimal number below 256 at the start, and what follows it.
fn number(text: &[u8]) -> Option<(u8, &[u8])> {
    let mut value: Option<u8> = None;
    let mut rest = text;
    while let [digit @ b'0'..=b'9', after @ ..] = rest {
        value = Some(
            value
                .unwrap_or(0)
                .checked_mul(10)?
                .checked_add(digit.wrapping_sub(b'0'))?,
        );
        rest = after;
    }
    value.map(|value| (value, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_real_interpreters_are_parsed() {
        let v = |major, minor, micro| Some(Version { major, minor, micro });
        assert_eq!(
            Version::parse(b"3.9.18 (main, May  9 2026, 07:30:00) \n[GCC 12.2.0]"),
            v(3, 9, 18)
        );
        assert_eq!(Version::parse(b"3.14.10 free-threading build (main)"), v(3, 14, 10));
        assert_eq!(Version::parse(b"3.15.0a1+ (heads/main:abc)"), v(3, 15, 0));
        assert_eq!(Version::parse(b"3.12.1"), v(3, 12, 1));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            &b""[..],
            b"3",
            b"3.",
            b"3.9",
            b"3.9.",
            b"3.9 (main)",
            b"3.256.0",
            b".3.9.1",
            b"v3.9.1",
            b"-3.9.1",
        ] {
            assert_eq!(Version::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn both_spellings_of_a_version_agree() {
        assert_eq!(Some(Version::from_hex(0x0309_12f0)), Version::parse(b"3.9.18"));
        assert_eq!(Some(Version::from_hex(0x030e_0af0)), Version::parse(b"3.14.10"));
    }
}
