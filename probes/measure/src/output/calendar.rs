//! Dates out of milliseconds since 1970, in UTC (proleptic Gregorian calendar).

use std::fmt;

const MS_PER_DAY: u64 = 86_400_000;
/// Days from 0000-03-01 to 1970-01-01.
const DAYS_TO_EPOCH: u64 = 719_468;
const DAYS_PER_ERA: u64 = 146_097;
const YEARS_PER_ERA: u64 = 400;

/// A moment in UTC, to the second. Printed as `2026-11-21 17:03:42`, as the OONI data format asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Utc {
    year: u64,
    month: u64,
    day: u64,
    second: u64,
}

impl Utc {
    pub(crate) const fn from_unix_ms(unix_ms: u64) -> Self {
        // Years are counted from March, so that the leap day is the last of its year.
        let days = unix_ms / MS_PER_DAY + DAYS_TO_EPOCH;
        let era = days / DAYS_PER_ERA;
        let day_of_era = days % DAYS_PER_ERA;
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let year = era * YEARS_PER_ERA + year_of_era + (month <= 2) as u64;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        Self { year, month, day, second: unix_ms % MS_PER_DAY / 1_000 }
    }

    /// `17:03`.
    pub(crate) fn clock(self) -> String {
        format!("{:02}:{:02}", self.second / 3_600, self.second / 60 % 60)
    }

    /// `2026-11-21`.
    pub(crate) fn date(self) -> String {
        format!("{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}:{:02}", self.date(), self.clock(), self.second % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments() {
        // Checked with `date -u -d @SECONDS`.
        for (seconds, text) in [
            (0, "1970-01-01 00:00:00"),
            (68_169_599, "1972-02-28 23:59:59"),
            (68_169_600, "1972-02-29 00:00:00"),
            (951_782_400, "2000-02-29 00:00:00"),
            (1_795_280_622, "2026-11-21 17:03:42"),
            (4_107_542_400, "2100-03-01 00:00:00"),
        ] {
            assert_eq!(Utc::from_unix_ms(seconds * 1_000).to_string(), text);
        }
    }

    #[test]
    fn days_follow_each_other() {
        let mut last = Utc::from_unix_ms(0).date();
        for day in 1..60_000_u64 {
            let date = Utc::from_unix_ms(day * MS_PER_DAY).date();
            assert!(date > last, "{date} after {last}");
            last = date;
        }
    }
}
