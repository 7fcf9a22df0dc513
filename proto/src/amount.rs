//! Money as numbers: assets, checked minor units, and the decimal text that people read.
//!
//! Amounts are whole minor units in a `u64`; totals are `u128` or `i128`. There are no floats anywhere.

use crate::{
    ids::DomainId,
    limits::{ASSET_CODE_BYTES_MAX, BPS_WHOLE, SCALE_MAX},
    reject::Reject,
};
use alloc::{format, string::String};
use core::{fmt, str::FromStr};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Code of an asset inside its domain: 1 to 12 upper-case letters and digits, such as `USD`.
///
/// Held inline, padded with zero bytes, so that the order of codes is the order of their text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AssetCode([u8; ASSET_CODE_BYTES_MAX]);

impl AssetCode {
    /// Checks and makes.
    pub fn new(text: &str) -> Result<AssetCode, Reject> {
        let bad = Reject::BadText { field: "asset_code" };
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()) {
            return Err(bad);
        }
        let mut bytes = [0; ASSET_CODE_BYTES_MAX];
        bytes.get_mut(..text.len()).ok_or(bad)?.copy_from_slice(text.as_bytes());
        Ok(AssetCode(bytes))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        let len = self.0.iter().position(|b| *b == 0).unwrap_or(ASSET_CODE_BYTES_MAX);
        // Only ASCII is ever put in.
        core::str::from_utf8(self.0.get(..len).unwrap_or_default()).unwrap_or_default()
    }
}

impl FromStr for AssetCode {
    type Err = Reject;
    fn from_str(text: &str) -> Result<AssetCode, Reject> {
        AssetCode::new(text)
    }
}

impl fmt::Display for AssetCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for AssetCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for AssetCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for AssetCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<AssetCode, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = AssetCode;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an asset code")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<AssetCode, E> {
                AssetCode::new(text).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

/// An asset: `USD@acme` and `USD@globex` are different assets.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct AssetId {
    /// The domain that issues it.
    pub issuer: DomainId,
    /// Its code there.
    pub code: AssetCode,
}

impl fmt::Display for AssetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.code, self.issuer)
    }
}

/// `CODE@cm1…`.
impl FromStr for AssetId {
    type Err = Reject;
    fn from_str(text: &str) -> Result<AssetId, Reject> {
        let bad = Reject::BadText { field: "asset" };
        let (code, issuer) = text.split_once('@').ok_or(bad)?;
        Ok(AssetId { code: code.parse()?, issuer: issuer.parse().map_err(|_| bad)? })
    }
}

/// Why a decimal text is no amount. Nothing was changed by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Nothing there.
    #[error("the amount is empty")]
    Empty,
    /// A minus sign: no amount is negative.
    #[error("the amount is negative")]
    Negative,
    /// A plus sign.
    #[error("the amount has a plus sign")]
    Plus,
    /// An exponent: write the digits out.
    #[error("the amount has an exponent; write all digits")]
    Exponent,
    /// Anything else that is not digits with at most one point between them, or a superfluous leading zero.
    #[error("the amount is not a decimal number such as 1.50")]
    NotDecimal,
    /// More decimals than the asset has.
    #[error("the amount has more than {scale} decimals")]
    TooManyDecimals {
        /// Decimals of the asset.
        scale: u8,
    },
    /// Beyond what a 64-bit count of minor units holds.
    #[error("the amount is too large")]
    Overflow,
}

impl AmountError {
    /// Stable code for machines.
    pub const fn code(&self) -> &'static str {
        match self {
            AmountError::Empty => "amount_empty",
            AmountError::Negative => "amount_negative",
            AmountError::Plus => "amount_plus_sign",
            AmountError::Exponent => "amount_exponent",
            AmountError::NotDecimal => "amount_not_decimal",
            AmountError::TooManyDecimals { .. } => "amount_too_many_decimals",
            AmountError::Overflow => "amount_overflow",
        }
    }
}

/// Reads `1.50` as minor units of an asset with `scale` decimals (6: `1_500_000`). Accepts no sign, exponent, space,
/// group separator, bare point or superfluous leading zero: there is one reading or none.
pub fn parse_amount(text: &str, scale: u8) -> Result<u64, AmountError> {
    if text.is_empty() {
        return Err(AmountError::Empty);
    }
    if text.starts_with(['-', '\u{2212}']) {
        return Err(AmountError::Negative);
    }
    if text.starts_with('+') {
        return Err(AmountError::Plus);
    }
    if text.contains(['e', 'E']) && text.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return Err(AmountError::Exponent);
    }
    let (whole, decimals) = match text.split_once('.') {
        Some((whole, decimals)) if !decimals.is_empty() => (whole, decimals),
        Some(_) => return Err(AmountError::NotDecimal),
        None => (text, ""),
    };
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(decimals) || (whole.len() > 1 && whole.starts_with('0')) {
        return Err(AmountError::NotDecimal);
    }
    if decimals.len() > usize::from(scale) {
        return Err(AmountError::TooManyDecimals { scale });
    }
    let zeros = usize::from(scale).saturating_sub(decimals.len());
    let padding = core::iter::repeat_n(b'0', zeros);
    whole
        .bytes()
        .chain(decimals.bytes())
        .chain(padding)
        .try_fold(0u64, |sum, digit| sum.checked_mul(10)?.checked_add(u64::from(digit.saturating_sub(b'0'))))
        .ok_or(AmountError::Overflow)
}

/// Writes minor units for people: `1_500_000` at scale 6 is `1.50`. At least two decimals (if the asset has them), and
/// as many more as are not zero.
pub fn format_amount(amount: u64, scale: u8) -> String {
    format_total(i128::from(amount), scale)
}

/// The same for a total, which may be negative.
pub fn format_total(total: i128, scale: u8) -> String {
    let scale = usize::from(scale);
    let digits = format!("{:0>width$}", total.unsigned_abs(), width = scale.saturating_add(1));
    let (whole, decimals) = digits.split_at_checked(digits.len().saturating_sub(scale)).unwrap_or((&digits, ""));
    let shortest = decimals.trim_end_matches('0').len().max(scale.min(2));
    let decimals = decimals.get(..shortest).unwrap_or(decimals);
    let sign = if total < 0 { "-" } else { "" };
    if decimals.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{decimals}") }
}

/// Is this a scale an asset may have?
pub const fn scale_allowed(scale: u8) -> bool {
    scale <= SCALE_MAX
}

/// floor(`amount` x `bps` / 10 000). `None` if `bps` is more than the whole.
pub fn share_of(amount: u64, bps: u16) -> Option<u64> {
    if bps > BPS_WHOLE {
        return None;
    }
    let product = u128::from(amount).checked_mul(u128::from(bps))?;
    u64::try_from(product.checked_div(u128::from(BPS_WHOLE))?).ok()
}

/// Sum of amounts; `None` beyond a `u64`.
pub fn sum(amounts: impl IntoIterator<Item = u64>) -> Option<u64> {
    amounts.into_iter().try_fold(0u64, u64::checked_add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn decimal_text_and_minor_units_agree() {
        for (text, scale, minor) in [
            ("1.50", 6, 1_500_000),
            ("0.00", 6, 0),
            ("0.0075", 6, 7_500),
            ("0.000001", 6, 1),
            ("18446744073709.551615", 6, u64::MAX),
            ("7", 0, 7),
            ("7.5", 1, 75),
        ] {
            assert_eq!(parse_amount(text, scale), Ok(minor), "{text}");
            assert_eq!(format_amount(minor, scale), text);
        }
        assert_eq!(parse_amount("5", 6), Ok(5_000_000));
        assert_eq!(format_total(-1_500_000, 6), "-1.50");
        assert_eq!(format_total(i128::MIN, 0), i128::MIN.to_string());
    }

    #[test]
    fn every_other_spelling_is_refused_by_name() {
        for (text, want) in [
            ("", AmountError::Empty),
            ("-1", AmountError::Negative),
            ("-0", AmountError::Negative),
            ("\u{2212}1", AmountError::Negative),
            ("+1", AmountError::Plus),
            ("1e3", AmountError::Exponent),
            ("1.5E-3", AmountError::Exponent),
            ("1.", AmountError::NotDecimal),
            (".5", AmountError::NotDecimal),
            ("01", AmountError::NotDecimal),
            ("1,50", AmountError::NotDecimal),
            (" 1", AmountError::NotDecimal),
            ("1_000", AmountError::NotDecimal),
            ("0x10", AmountError::NotDecimal),
            ("1.2.3", AmountError::NotDecimal),
            ("NaN", AmountError::NotDecimal),
            ("inf", AmountError::NotDecimal),
            ("one", AmountError::NotDecimal),
            ("\u{0661}", AmountError::NotDecimal),
            ("0.0000001", AmountError::TooManyDecimals { scale: 6 }),
            ("18446744073709.551616", AmountError::Overflow),
            ("99999999999999999999999999999999", AmountError::Overflow),
        ] {
            assert_eq!(parse_amount(text, 6), Err(want), "{text}");
        }
    }

    #[test]
    fn a_code_is_upper_case_and_short() {
        assert_eq!(AssetCode::new("USD").map(|c| c.to_string()), Ok("USD".to_string()));
        assert_eq!(AssetCode::new("ABCDEFGHIJKL").map(|c| c.to_string()), Ok("ABCDEFGHIJKL".to_string()));
        for text in ["", "usd", "US D", "ABCDEFGHIJKLM", "€", "US\0"] {
            assert_eq!(AssetCode::new(text), Err(Reject::BadText { field: "asset_code" }), "{text}");
        }
        let code = |text| AssetCode::new(text).expect("a code");
        assert!(code("A") < code("AB") && code("AB") < code("B"));
    }

    #[test]
    fn a_share_is_floored() {
        assert_eq!(share_of(5_000_000, 100), Some(50_000));
        assert_eq!(share_of(99, 100), Some(0));
        assert_eq!(share_of(u64::MAX, 10_000), Some(u64::MAX));
        assert_eq!(share_of(1, 10_001), None);
        assert_eq!(sum([u64::MAX, 1]), None);
    }
}
