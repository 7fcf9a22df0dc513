//! Times as the protocol writes them (RFC 3339, UTC), from and to milliseconds since the Unix epoch.

const DAY_MS: u64 = 86_400_000;

/// `2026-11-22T04:05:06.789Z`.
pub(in crate::doors) fn text(ms: u64) -> String {
    let (days, rest) = (ms / DAY_MS, ms % DAY_MS);
    let (year, month, day) = date(days);
    let (hour, minute, second, milli) = (rest / 3_600_000, rest / 60_000 % 60, rest / 1_000 % 60, rest % 1_000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

/// The same back; whole and broken seconds, UTC only.
pub(in crate::doors) fn parse(text: &str) -> Option<u64> {
    let text = text.strip_suffix(['Z', 'z'])?;
    let (day, clock) = text.split_once(['T', 't'])?;
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u64>().ok())?;
    let [year, month, day] = three(day, '-', number)?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let [hour, minute, second] = three(clock, ':', number)?;
    let milli = number(&format!("{fraction:0<3}").chars().take(3).collect::<String>())?;
    let fits = (1970..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    if !fits || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let clock = ((hour * 60 + minute) * 60 + second) * 1_000 + milli;
    Some(days(year, month, day) * DAY_MS + clock)
}

fn three(text: &str, between: char, number: impl Fn(&str) -> Option<u64>) -> Option<[u64; 3]> {
    let parts: Vec<u64> = text.split(between).map(number).collect::<Option<_>>()?;
    parts.try_into().ok()
}

/// Year, month and day of a day since the Unix epoch; years begin in March here, so that a leap day is the last one.
fn date(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

fn days(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year / 400, year % 400);
    let from_march = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * from_march + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_and_read_back() {
        for (ms, written) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_795_313_106_789, "2026-11-22T02:05:06.789Z"),
            (4_107_542_399_999, "2100-02-28T23:59:59.999Z"),
        ] {
            assert_eq!((text(ms).as_str(), parse(written)), (written, Some(ms)));
        }
        assert_eq!(parse("2000-02-29T00:00:01Z"), Some(951_782_401_000));
        assert_eq!(parse("2000-02-29T00:00:01.5Z"), Some(951_782_401_500));
        for none in ["", "2026-11-22", "2026-11-22T04:05:06", "2026-13-22T04:05:06Z", "2026-11-22T24:05:06Z", "aZ"] {
            assert_eq!(parse(none), None, "{none}");
        }
    }
}
